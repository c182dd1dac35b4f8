"""The OCI client's protocol: challenges, realms, redirects and limits. Each side's words are tested with the
side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from deployer.io.http_client import Fault, HttpClient, ServerUnavailable
from deployer.io.oci_client import (
    InsecureRedirect,
    LoginFailed,
    LoginFailure,
    OciClient,
    Repository,
    api_host,
    basic,
    digest_of,
)
from testing.http_stub import Answer, Server

LOGIN = basic("me", "pass word")
TOKEN = Answer(200, {"token": "issued"})


class Registry:
    """A registry that wants what `challenge` says; `realm` and `found` say how it answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.challenge = ""
        self.realm: Callable[[], Answer] = lambda: TOKEN
        self.found: Callable[[str], Answer] = lambda target: Answer(200, b"{}")
        self.server = Server(self.serve)

    def serve(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        proof = headers.get("authorization", "")
        self.calls.append((method, target, proof))
        if target.startswith("/token"):
            return self.realm()
        if self.challenge and not proof:
            return Answer(401, b"", {"WWW-Authenticate": self.challenge})
        return self.found(target)

    def client(self, http: HttpClient, *, authorization: str = LOGIN, may_ask: bool = True) -> OciClient:
        place = Repository(self.server.url, "acme/web")
        return OciClient(http, place, authorization=authorization, may_ask=lambda realm: may_ask)


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    with made.server:
        yield made


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(timeout=5) as client:
        yield client


@pytest.mark.parametrize(("method", "actions"), [("GET", "pull"), ("HEAD", "pull"), ("PUT", "pull%2Cpush")])
def test_a_token_is_fetched_for_the_actions_that_follow(
    registry: Registry, http: HttpClient, method: str, actions: str
) -> None:
    registry.challenge = f'Bearer realm="{registry.server.url}/token",service="here"'
    client = registry.client(http)
    if method == "PUT":
        client.put("v1", "application/x", b"{}")
    else:
        client.get("v1", method=method)
    assert registry.calls == [
        (method, "/v2/acme/web/manifests/v1", ""),
        ("GET", f"/token?service=here&scope=repository%3Aacme%2Fweb%3A{actions}", LOGIN),
        (method, "/v2/acme/web/manifests/v1", "Bearer issued"),
    ]


def test_a_realm_keeps_its_own_query(registry: Registry, http: HttpClient) -> None:
    registry.challenge = f'Bearer realm="{registry.server.url}/token?tenant=7#x",service="here"'
    registry.client(http).get("v1")
    assert registry.calls[1][1].startswith("/token?tenant=7&service=here&scope=")


def test_of_two_challenges_the_first_counts(registry: Registry, http: HttpClient) -> None:
    registry.challenge = f'Bearer realm="{registry.server.url}/token",service="a", Basic realm="other"'
    registry.client(http).get("v1")
    assert registry.calls[1][1].startswith("/token?service=a&")


@pytest.mark.parametrize(
    ("challenge", "changes", "failure"),
    [
        ("Negotiate", {}, LoginFailure.UNSUPPORTED),
        ('Bearer realm="https://x/"', {"may_ask": False}, LoginFailure.UNSUPPORTED),
        ('Basic realm="x"', {"authorization": ""}, LoginFailure.MISSING),
    ],
)
def test_a_login_that_cannot_be_given_is_told_with_the_refusal(
    registry: Registry, http: HttpClient, challenge: str, changes: dict[str, object], failure: LoginFailure
) -> None:
    registry.challenge = challenge
    with pytest.raises(LoginFailed) as caught:
        registry.client(http, **changes).get("v1")  # type: ignore[arg-type]
    assert (caught.value.failure, caught.value.challenge) == (failure, challenge)
    assert caught.value.refusal.status == 401 and len(registry.calls) == 1


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Answer(403), LoginFailure.REFUSED),
        (Answer(307, b"", {"Location": "/token2"}), LoginFailure.REFUSED),
        (Answer(200, b"<html>"), LoginFailure.NO_TOKEN),
        (Answer(200, {"token": 7}), LoginFailure.NO_TOKEN),
        (Answer(200, b'{"token": "a", "token": "b"}'), LoginFailure.NO_TOKEN),
    ],
)
def test_a_realm_without_a_token_is_told_with_its_answer(
    registry: Registry, http: HttpClient, answer: Answer, failure: LoginFailure
) -> None:
    registry.challenge = f'Bearer realm="{registry.server.url}/token"'
    registry.realm = lambda: answer
    with pytest.raises(LoginFailed) as caught:
        registry.client(http).get("v1")
    assert (caught.value.failure, caught.value.answer.status) == (failure, answer.status)
    assert len(registry.calls) == 2


def test_a_redirect_to_another_host_needs_tls_and_a_put_follows_none(
    registry: Registry, http: HttpClient
) -> None:
    registry.found = lambda target: Answer(307, b"", {"Location": "http://evil.example/"})
    with pytest.raises(InsecureRedirect) as caught:
        registry.client(http).get("v1", kind="blobs")
    assert caught.value.answer.status == 307
    assert registry.client(http).put("v1", "application/x", b"{}").status == 307


@pytest.mark.parametrize("where", ["https://[::1", "//[x"])
def test_a_redirect_to_no_address_is_an_answer(registry: Registry, http: HttpClient, where: str) -> None:
    registry.found = lambda target: Answer(302, b"", {"Location": where})
    assert registry.client(http).get("v1").status == 302


def test_an_answer_over_the_limit_is_a_failure(registry: Registry, http: HttpClient) -> None:
    registry.found = lambda target: Answer(200, b"x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(ServerUnavailable) as caught:
        registry.client(http).get("v1")
    assert caught.value.fault is Fault.LONG


def test_docker_hub_is_asked_at_another_host() -> None:
    assert (api_host("docker.io"), api_host("ghcr.io")) == ("registry-1.docker.io", "ghcr.io")


def test_a_digest_names_its_bytes() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
