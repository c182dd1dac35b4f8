"""Tokens against a real issuer on a real socket: what is accepted, what is not, and what an outage does."""

from __future__ import annotations

import base64
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.adapters.github import oidc_verifier
from deployer.adapters.github.oidc_verifier import IssuerUnavailable, OidcVerifier
from deployer.core.errors import ConfigError, TokenRejected
from testing.github.oidc_issuer import Issuer

AUDIENCE = "https://deploy.example.com#sha256=00"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def verifier(issuer: Issuer, tmp_path: Path) -> OidcVerifier:
    return OidcVerifier(issuer.url, tmp_path / "jwks.json")


def reason(verifier: OidcVerifier, token: str, audience: str = AUDIENCE) -> str:
    with pytest.raises(TokenRejected) as refused:
        verifier.verify_token(token, audience)
    text = refused.value.diagnostics()
    assert not any(part and part in text for part in token.split(".")), "the reason must not echo the token"
    return str(refused.value)


def test_a_token_of_the_issuer_for_this_audience_gives_its_claims(
    issuer: Issuer, verifier: OidcVerifier
) -> None:
    claims = verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    assert claims["repository_id"] == "4711"
    assert claims["aud"] == AUDIENCE


@pytest.mark.case("E01")
@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "https://deploy.example.com"}, "audience"),
        ({"aud": AUDIENCE + "0"}, "audience"),
        ({"aud": [AUDIENCE]}, "audience"),
        ({"aud": [AUDIENCE, "other"]}, "audience"),
        ({"aud": None}, "lacks"),
        ({"iss": "https://token.actions.githubusercontent.com/acme"}, "issuer"),
        ({"iss": None}, "lacks"),
        ({"exp": timedelta(seconds=-31)}, "expired"),
        ({"exp": None}, "lacks"),
        ({"exp": timedelta(seconds=90_000)}, "too long"),
        ({"nbf": timedelta(minutes=10)}, "not valid yet"),
        ({"iat": timedelta(minutes=10)}, "not valid yet"),
        ({"iat": None}, "lacks"),
        ({"iat": "now"}, "malformed"),
        ({"jti": None}, "lacks"),
        ({"jti": ""}, "jti"),
        ({"jti": "j" * 201}, "jti"),
    ],
)
def test_claims_that_are_not_for_us_now_are_refused(
    issuer: Issuer, verifier: OidcVerifier, claims: dict[str, Any], why: str
) -> None:
    now = time.time()  # asked here: an hour may lie between the collection of a test and its run
    timed = {
        name: int(now + claim.total_seconds()) if isinstance(claim, timedelta) else claim
        for name, claim in claims.items()
    }
    assert why in reason(verifier, issuer.mint(AUDIENCE, **timed))


@pytest.mark.parametrize(
    "theirs",
    ["http://localhost:8080", "http://127.0.0.1:8080", "https://other.example.com/x", "http://[::1]:80"],
)
def test_w2_two_addresses_of_one_server_are_named(
    issuer: Issuer, verifier: OidcVerifier, theirs: str
) -> None:
    with pytest.raises(TokenRejected) as refused:
        verifier.verify_token(issuer.mint(f"{theirs}#sha256=00"), AUDIENCE)
    assert f"its audience is {theirs}, and this server is https://deploy.example.com" in str(refused.value)
    assert "server.url" in refused.value.hint and "fresh token" not in refused.value.hint


@pytest.mark.parametrize(
    "aud", ["sts.amazonaws.com", "https://a.example/\x1b[2J", "https://" + "a" * 400, "x y"]
)
def test_w2_only_an_address_is_repeated(issuer: Issuer, verifier: OidcVerifier, aud: str) -> None:
    assert reason(verifier, issuer.mint(aud)).endswith("its audience is not this server and this body")


@pytest.mark.parametrize(
    ("claims", "told", "way"),
    [
        ({"exp": -400}, "it has expired, ", "ahead"),
        ({"iat": 600, "nbf": 590}, "it is not valid yet, for ", "behind"),
        ({"nbf": 600}, "it is not valid yet, for ", "behind"),
    ],
)
def test_w2_a_wrong_clock_is_named_and_by_how_much(
    issuer: Issuer, verifier: OidcVerifier, claims: dict[str, int], told: str, way: str
) -> None:
    now = int(time.time())
    with pytest.raises(TokenRejected) as refused:
        verifier.verify_token(
            issuer.mint(AUDIENCE, **{name: now + n for name, n in claims.items()}), AUDIENCE
        )
    text = refused.value.diagnostics()
    found = int(re.findall(r"by ([0-9]+) s", text)[0])
    assert abs(found - max(map(abs, claims.values()))) <= 3
    assert told in text and f"{way}, by {found} s" in text and "timedatectl" in text


@pytest.mark.case("E01")
def test_clocks_may_differ_by_half_a_minute(issuer: Issuer, verifier: OidcVerifier) -> None:
    now = int(time.time())
    verifier.verify_token(issuer.mint(AUDIENCE, exp=now - 20), AUDIENCE)
    verifier.verify_token(issuer.mint(AUDIENCE, iat=now + 20, nbf=now + 20), AUDIENCE)


@pytest.mark.case("E01")
def test_an_issuer_whose_url_only_begins_alike_is_another(issuer: Issuer, verifier: OidcVerifier) -> None:
    assert "issuer" in reason(verifier, issuer.mint(AUDIENCE, iss=f"{issuer.url}/"))


def forged(issuer: Issuer, header: dict[str, Any], key: Any, algorithm: str) -> str:
    claims = jwt.decode(issuer.mint(AUDIENCE), options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": issuer.kid, **header})


@pytest.mark.case("E01")
def test_a_stranger_with_the_right_key_id_does_not_pass(issuer: Issuer, verifier: OidcVerifier) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "signature" in reason(verifier, forged(issuer, {}, key, "RS256"))


@pytest.mark.case("E01")
@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
def test_only_rs256_is_taken_even_with_the_right_key(
    issuer: Issuer, verifier: OidcVerifier, algorithm: str
) -> None:
    assert "RS256" in reason(verifier, forged(issuer, {}, issuer.key, algorithm))


@pytest.mark.case("E01")
def test_the_public_key_is_no_shared_secret_and_none_is_no_algorithm(
    issuer: Issuer, verifier: OidcVerifier
) -> None:
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = _part({"alg": "HS256", "typ": "JWT", "kid": issuer.kid})
    body = issuer.mint(AUDIENCE).split(".")[1]
    mac = (
        base64.urlsafe_b64encode(hmac.digest(public, f"{head}.{body}".encode(), "sha256"))
        .decode()
        .rstrip("=")
    )
    assert "RS256" in reason(verifier, f"{head}.{body}.{mac}")
    assert "RS256" in reason(verifier, forged(issuer, {}, None, "none"))


def _part(table: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(table).encode()).decode().rstrip("=")


@pytest.mark.case("E01")
def test_a_token_cannot_bring_its_own_key(issuer: Issuer, verifier: OidcVerifier) -> None:
    with Issuer() as evil:
        for header in (
            {"jku": f"{evil.url}/.well-known/jwks"},
            {"jwk": evil.jwks()["keys"][0]},
            {"x5u": evil.url},
        ):
            assert "key" in reason(verifier, forged(issuer, {**header, "kid": evil.kid}, evil.key, "RS256"))
        assert evil.jwks_hits == 0


@pytest.mark.case("E01")
@pytest.mark.parametrize(
    "header", [{"kid": ""}, {"kid": "k" * 201}, {"kid": "../../etc/passwd"}, {"crit": ["exp"]}]
)
def test_odd_headers_are_refused(issuer: Issuer, verifier: OidcVerifier, header: dict[str, Any]) -> None:
    reason(verifier, forged(issuer, header, issuer.key, "RS256"))


@pytest.mark.case("E01")
@pytest.mark.parametrize(
    "token", ["a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "x" * 100_000, "\0", "eyJhbGciOiJSUzI1NiJ9.e30."]
)
def test_what_is_no_token_is_refused(verifier: OidcVerifier, token: str) -> None:
    with pytest.raises(TokenRejected):
        verifier.verify_token(token, AUDIENCE)


def test_a_token_that_was_cut_or_changed_is_refused(issuer: Issuer, verifier: OidcVerifier) -> None:
    head, body, signature = issuer.mint(AUDIENCE).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["repository_id"] = "4712"
    assert "signature" in reason(verifier, f"{head}.{_part(claims)}.{signature}")
    reason(verifier, f"{head}.{body}.{signature[:-4]}")


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_header_and_body_end_in_a_refusal_and_never_in_a_crash(
    verifier: OidcVerifier, head: bytes, body: bytes
) -> None:
    parts = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (head, body, b"signature")]
    with pytest.raises(TokenRejected):
        verifier.verify_token(".".join(parts), AUDIENCE)


def test_the_keys_are_asked_for_once(issuer: Issuer, verifier: OidcVerifier) -> None:
    for _ in range(5):
        verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    assert issuer.jwks_hits == 1


@pytest.mark.case("E02")
def test_a_flood_of_made_up_keys_asks_the_issuer_once_and_good_tokens_pass(
    issuer: Issuer, verifier: OidcVerifier
) -> None:
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    for number in range(50):
        assert "key" in reason(verifier, forged(issuer, {"kid": f"made-up-{number}"}, issuer.key, "RS256"))
    assert issuer.jwks_hits == 1
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)


@pytest.mark.case("E02")
def test_a_new_key_of_the_issuer_is_learned_and_the_old_one_forgotten(
    issuer: Issuer, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_verifier, "_COOLDOWN", 0.0)
    before = issuer.mint(AUDIENCE)
    verifier.verify_token(before, AUDIENCE)
    issuer.rotate()
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    assert "does not publish" in reason(verifier, before)


@pytest.mark.case("E02")
def test_during_an_outage_known_keys_serve_also_after_a_restart(
    issuer: Issuer, verifier: OidcVerifier, tmp_path: Path
) -> None:
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    issuer.down = True
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    OidcVerifier(issuer.url, tmp_path / "jwks.json").verify_token(issuer.mint(AUDIENCE), AUDIENCE)


def test_keys_that_are_an_hour_old_are_asked_for_again_and_serve_on_during_an_outage(
    issuer: Issuer, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_verifier, "_COOLDOWN", 0.0)
    monkeypatch.setattr(oidc_verifier, "_FRESH", 0.0)
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    issuer.down = True
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    assert issuer.jwks_hits == 2


@pytest.mark.case("E02")
def test_keys_that_could_not_be_refreshed_for_a_day_are_not_believed(
    issuer: Issuer, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    issuer.down = True
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    with pytest.raises(IssuerUnavailable):
        verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)


@pytest.mark.case("E02")
def test_without_any_key_an_outage_is_an_outage_and_not_a_bad_token(
    issuer: Issuer, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.down = True
    with pytest.raises(IssuerUnavailable):
        verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    issuer.down = False
    monkeypatch.setattr(
        verifier._keys, "_ask_again", 0.0
    )  # the few seconds until the next question have passed
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": 1}', '{"url": "URL", "jwks": {}, "fetched_at": 9e9}', "\udcff"]
)
def test_a_damaged_file_of_kept_keys_is_passed_over(issuer: Issuer, tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(text.replace("URL", f"{issuer.url}/.well-known/jwks").encode("utf-8", "surrogateescape"))
    OidcVerifier(issuer.url, path).verify_token(issuer.mint(AUDIENCE), AUDIENCE)


def test_keys_kept_from_another_issuer_are_not_used(
    issuer: Issuer, verifier: OidcVerifier, tmp_path: Path
) -> None:
    verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    with Issuer() as other:
        other.down = True
        with pytest.raises(IssuerUnavailable):
            OidcVerifier(other.url, tmp_path / "jwks.json").verify_token(issuer.mint(AUDIENCE), AUDIENCE)


@pytest.mark.case("D07", "E02")
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 302 Found\r\nLocation: {good}\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n{junk}"]
)
def test_redirects_are_not_followed_and_endless_answers_not_read(
    issuer: Issuer, tmp_path: Path, answer: bytes
) -> None:
    good = f"{issuer.url}/.well-known/jwks".encode()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer.replace(b"{good}", good).replace(b"{junk}", b" " * 70_000))

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(IssuerUnavailable):
            OidcVerifier(url, tmp_path / "other.json").verify_token(issuer.mint(AUDIENCE), AUDIENCE)
    assert issuer.jwks_hits == 0


@pytest.mark.case("E02")
def test_an_issuer_that_trickles_is_given_up_in_time(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_verifier, "_TIMEOUT", 0.3)
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while not done.wait(0.05):
                    connection.sendall(b" ")

        thread = threading.Thread(target=serve)
        thread.start()
        begun = time.monotonic()
        try:
            with pytest.raises(IssuerUnavailable):
                url = f"http://127.0.0.1:{server.getsockname()[1]}"
                OidcVerifier(url, tmp_path / "other.json").verify_token(issuer.mint(AUDIENCE), AUDIENCE)
            assert time.monotonic() - begun < 40
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": []},
        {"keys": [1]},
        {"keys": [{"kty": "EC", "kid": "1"}]},
        {"keys": [{"kty": "RSA", "kid": "1"}]},
        {},
    ],
)
def test_an_answer_without_usable_keys_counts_as_an_outage(
    issuer: Issuer, verifier: OidcVerifier, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "jwks", lambda: keys)
    with pytest.raises(IssuerUnavailable):
        verifier.verify_token(issuer.mint(AUDIENCE), AUDIENCE)


@pytest.mark.case("D07")
@pytest.mark.parametrize(
    "url", ["http://issuer.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://x"]
)
def test_plain_http_is_for_this_machine_only(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        OidcVerifier(url, tmp_path / "jwks.json")


@pytest.mark.parametrize(
    "url", ["https://token.actions.githubusercontent.com", "http://localhost:1", "http://[::1]:1"]
)
def test_https_and_the_loopback_are_taken(url: str, tmp_path: Path) -> None:
    OidcVerifier(url, tmp_path / "jwks.json")
