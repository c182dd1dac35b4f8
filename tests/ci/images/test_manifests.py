"""The proof's look into a registry: logins, refusals, and bytes that are not what their digest says."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.ci.images import registry_login as login
from deployer.ci.images.manifests import Manifest, fetch_manifest, find_manifest, put_manifest
from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.images import Image
from deployer.io.oci_client import basic
from testing.receiver.scripted_receiver import Asked, DeployApi, Reply, reply

MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "1" * 64}}).encode()
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


def image(api: DeployApi, digest: str = DIGEST) -> Image:
    return Image(f"{api.url.removeprefix('http://')}/acme/web", digest)


def guarded(api: DeployApi, *, realm: str = "/login", login: str = "") -> Callable[[Asked], Reply]:
    """A registry that wants a bearer token, and gives one to `login`, or to anybody."""

    def answer(asked: Asked) -> Reply:
        given = asked.headers.get("authorization", "")
        if asked.path.startswith("/login"):
            return reply(200, token="pass") if given == login else reply(403)
        if given == "Bearer pass":
            return Reply(200, MANIFEST)
        address = realm if "://" in realm else f"{api.url}{realm}"
        challenge = f'Bearer realm="{address}",service="here",scope="repository:acme/web:pull"'
        return Reply(401, headers=(("WWW-Authenticate", challenge),))

    return answer


def test_an_open_registry_is_just_asked(api: DeployApi) -> None:
    api.others = lambda _: Reply(200, MANIFEST)
    assert fetch_manifest(image(api), "").config_digest == "sha256:" + "1" * 64
    (asked,) = api.asked
    assert asked.path == f"/v2/acme/web/manifests/{DIGEST}"
    assert asked.headers["accept"].count("application/vnd.") == 4


@pytest.mark.parametrize("authorization", ["", basic("dev", "pass word")])
def test_a_token_is_fetched_where_the_registry_wants_one(api: DeployApi, authorization: str) -> None:
    api.others = guarded(api, login=authorization)
    assert fetch_manifest(image(api), authorization)
    (ask,) = [one for one in api.asked if one.path.startswith("/login")]
    assert "service=here" in ask.path
    assert "scope=repository%3Aacme%2Fweb%3Apull" in ask.path


def test_a_basic_challenge_gets_the_login(api: DeployApi) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") == basic("dev", "x"):
            return Reply(200, MANIFEST)
        return Reply(401, headers=(("WWW-Authenticate", 'Basic realm="here"'),))

    api.others = answer
    assert fetch_manifest(image(api), basic("dev", "x"))


@pytest.mark.parametrize("realm", ["http://token.example.com/login", "file:///etc/passwd", "ftp://h/x"])
def test_a_login_is_never_sent_in_clear_text(api: DeployApi, realm: str) -> None:
    api.others = guarded(api, realm=realm)
    with pytest.raises(RegistryUnavailable, match="login"):
        fetch_manifest(image(api), basic("dev", "x"))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_absent_and_forbidden_look_the_same_and_are_both_named(api: DeployApi, status: int) -> None:
    api.others = lambda asked: Reply(
        status, headers=(("WWW-Authenticate", f'Bearer realm="{api.url}/login"'),)
    )
    with pytest.raises(ImageNotFound) as caught:
        fetch_manifest(image(api), "")
    assert "may not read" in caught.value.hint


def test_a_failing_registry_is_asked_again(api: DeployApi) -> None:
    answers = [reply(503), Reply(200, MANIFEST)]
    api.others = lambda _: answers.pop(0)
    assert fetch_manifest(image(api), "")


def test_other_bytes_than_the_digests_are_refused(api: DeployApi) -> None:
    api.others = lambda _: Reply(200, MANIFEST + b" ")
    with pytest.raises(RegistryUnavailable, match="bytes without the digest"):
        fetch_manifest(image(api), "")


def test_an_index_has_no_configuration() -> None:
    assert Manifest("application/x", b'{"manifests": []}').config_digest == ""


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_tag_that_is_not_there_or_not_to_be_read_names_nothing(api: DeployApi, status: int) -> None:
    api.others = lambda asked: Reply(
        status, headers=(("WWW-Authenticate", f'Bearer realm="{api.url}/login"'),)
    )
    assert find_manifest(image(api).repository, "main", "") is None


@pytest.mark.parametrize("answer", [reply(503), Reply(200, b"<html>"), Reply(200, b"[]"), reply(307)])
def test_what_is_no_manifest_is_not_taken_for_one(api: DeployApi, answer: Reply) -> None:
    api.others = lambda _: answer
    with pytest.raises(RegistryUnavailable):
        find_manifest(image(api).repository, "main", "", tries=1)


def test_a_tag_is_the_same_bytes_sent_again_by_one_who_may(api: DeployApi) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/login"):
            scope = "repository%3Aacme%2Fweb%3Apull%2Cpush"
            return reply(200, token="pass") if f"scope={scope}" in asked.path else reply(403)
        if asked.headers.get("authorization") == "Bearer pass":
            return Reply(201)
        return Reply(401, headers=(("WWW-Authenticate", f'Bearer realm="{api.url}/login",service="here"'),))

    api.others = answer
    put_manifest(image(api).repository, "v1", Manifest("application/x-kind", MANIFEST), basic("dev", "x"))
    sent = api.asked[-1]
    assert (sent.method, sent.path, sent.body) == ("PUT", "/v2/acme/web/manifests/v1", MANIFEST)
    assert sent.headers["content-type"] == "application/x-kind"


def test_a_tag_that_the_registry_refuses_is_an_error(api: DeployApi) -> None:
    api.others = lambda _: reply(403)
    with pytest.raises(RegistryUnavailable, match="answers 403 to the tag"):
        put_manifest(image(api).repository, "v1", Manifest("x", MANIFEST), "")


@pytest.mark.parametrize(
    ("host", "header"),
    [("registry.example.com", "Basic b3RoZXI="), ("docker.io", "Basic aHVi"), ("elsewhere.example.com", "")],
)
def test_the_users_own_docker_login_is_used_for_other_hosts(
    host: str, header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auths = {"registry.example.com": {"auth": "b3RoZXI="}, "https://index.docker.io/v1/": {"auth": "aHVi"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    ours = login.Login("ghcr.io", "dev", "x")
    assert login.authorization(host, ours) == header
    assert login.authorization("ghcr.io", ours) == "Basic " + base64.b64encode(b"dev:x").decode()
    assert "x" not in repr(ours).replace("'x'", "").partition("password")[2]
