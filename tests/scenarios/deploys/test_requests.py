"""Stolen and repeated requests against the real receiver, and what a request's variables do to containers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from deployer.core.model import Bundle, Run
from deployer.core.requests.deploy_request import DeployRequest, audience_of, encode_request
from deployer.core.requests.signed_request import SIGNATURE, RequestSignature, sign, stamped
from testing.stage import CANARIES, REPOSITORY, Published, Stage

pytestmark = pytest.mark.engine
PATH = "/api/v1/deployments"


def body_of(stage: Stage, release: Published, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "repository": REPOSITORY,
        "app": "",
        "environment": "production",
        "revision": release.revision,
        "run": Run(stage.runs, 1),
        "actor": "ada",
        "images": release.images,
        "bundle": Bundle(
            "compose.yaml", {"compose.yaml": (stage.source.folder / "compose.yaml").read_text()}
        ),
        "credentials": None,
    }
    return encode_request(DeployRequest(**{**fields, **changes}))


def by_token(stage: Stage, body: bytes, token: str) -> tuple[int, str]:
    status, answer = stage.call("POST", PATH, body, {"Authorization": f"Bearer {token}"})
    return status, str(answer.get("message", answer.get("outcome")))


def by_signature(stage: Stage, body: bytes, secret: str = CANARIES["webhook"]) -> tuple[int, str]:
    status, answer = stage.call("POST", PATH, body, {SIGNATURE: sign(body, secret.encode())})
    return status, str(answer.get("message", answer.get("outcome")))


def variables_of(stage: Stage) -> list[str]:
    found = [c for c in stage.containers() if "-backend-" in c["Name"]]
    return [line for c in found for line in c["Config"]["Env"]]


def test_a_stolen_or_repeated_request_deploys_nothing(stage: Stage) -> None:
    release, other = stage.publish("1.0.0"), stage.publish("2.0.0")
    status, answer = stage.request(release, variables={"CORS_ORIGIN": "https://from-the-request.example"})
    assert status == 202, answer
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "success" and stage.serves() == "1.0.0"
    assert "CORS_ORIGIN=https://from-the-request.example" in variables_of(stage)
    story = stage.get(f"{PATH}/{answer['id']}?after=0", answer["read_token"])[1]["events"]
    assert "from-the-request" not in str(story) + stage.log.read_text()

    spent = stage.issuer.minted[-1]
    stage.runs += 1
    stage.issuer.claims = stage.claims("push", "refs/heads/main", other.revision)
    body = body_of(stage, other)
    audience = audience_of(stage.url, body)
    staging = body_of(stage, other, environment="staging")
    mint = stage.issuer.mint
    assert by_token(stage, body, spent)[0] == 401  # the token of another body
    assert by_token(stage, body, mint(audience, repository_id="4712"))[0] == 403
    assert by_token(stage, body, mint(audience, repository_owner_id="1"))[0] == 403
    assert by_token(stage, body, mint(audience, event_name="pull_request_target"))[0] == 403
    assert by_token(stage, body, mint(audience, ref="refs/heads/topic"))[0] == 403
    assert by_token(stage, staging, mint(audience_of(stage.url, staging)))[0] == 404
    assert by_token(stage, body, mint(audience_of("https://other.example", body)))[0] == 401

    # Signed requests, which this environment takes once it does not ask for a workflow file any more.
    now = int(time.time())
    signed = stamped(body, RequestSignature(stage.url, now, "ab" * 16))
    assert by_signature(stage, signed) == (
        403, "production: its setting workflow asks for what a signed request cannot show",
    )  # fmt: skip
    stage.reconfigure('workflow = ".github/workflows/deploy.yml"\n', "")
    assert by_signature(stage, signed, "not the secret that the server has")[0] == 401
    assert by_signature(stage, stamped(body, RequestSignature(stage.url, now - 900, "cd" * 16)))[0] == 401
    assert (
        by_signature(stage, stamped(body, RequestSignature("https://other.example", now, "cd" * 16)))[0]
        == 401
    )
    assert by_signature(stage, stamped(staging, RequestSignature(stage.url, now, "cd" * 16)))[0] == 404
    elsewhere = body_of(stage, other, repository="acme/bank")
    assert by_signature(stage, stamped(elsewhere, RequestSignature(stage.url, now, "cd" * 16)))[0] == 403
    tampered = signed.replace(b'"attempt":1', b'"attempt":2')
    assert (
        stage.call("POST", PATH, tampered, {SIGNATURE: sign(signed, CANARIES["webhook"].encode())})[0] == 401
    )
    assert stage.serves() == "1.0.0"

    status, answer = stage.call("POST", PATH, signed, {SIGNATURE: sign(signed, CANARIES["webhook"].encode())})
    assert (status, answer["outcome"]) == (202, "queued")
    assert stage.finished(answer["id"], answer["read_token"])["status"] == "success"
    assert stage.serves() == "2.0.0"
    assert f"CORS_ORIGIN={CANARIES['variable']}" in variables_of(stage)  # the server's own again
    assert by_signature(stage, signed) == (401, "the signed request was used before")

    # The very same bytes with the very same token, and an environment that asks for another claim.
    production = "[apps.shop.environments.production]"
    protected = "[apps.shop.environments.staging]\nrequire-environment-claim = true\n\n"
    stage.reconfigure(production, protected + production)
    stage.runs += 1
    stage.issuer.claims = stage.claims("push", "refs/heads/main", other.revision)
    again, staging = body_of(stage, other), body_of(stage, other, environment="staging")
    for claim in ({}, {"environment": "production"}):
        refused = by_token(stage, staging, mint(audience_of(stage.url, staging), **claim))
        assert refused[0] == 403 and refused[1].startswith("environment: the token says"), refused
    token = mint(audience_of(stage.url, again))
    assert by_token(stage, again, token) == (202, "queued")
    assert by_token(stage, again, token) == (401, "the token was used before")
