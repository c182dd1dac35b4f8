"""A plan for a pull request: what it says, and that it says no more and changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.github.oidc_verifier import OidcVerifier
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.config.settings import load_config
from deployer.core.errors import ComposeRejected, DeployerError, Forbidden, TokenRejected, TooManyRequests
from deployer.core.images import Image
from deployer.core.model import Bundle, DeployJob, Kind, Trigger
from deployer.core.requests.deploy_request import audience_of, encode_request
from deployer.deployment.plan_preview import preview
from deployer.ingress.plan_requests import accept_plan
from deployer.ingress.receiver import Receiver
from testing.compose_models import image, shop
from testing.github.oidc_issuer import Issuer
from testing.receiver.in_memory_target import MemoryTarget, in_memory_context
from testing.receiver.receiver_inputs import URL, config_table, deploy_request, receiver_of
from testing.receiver.senders import count
from tests.deployment.test_deploy import FastClock, NoRegistry

SECRET = "canary-of-the-server"


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget(shop())


@pytest.fixture
def receiver(store: SqliteStore, issuer: Issuer, target: MemoryTarget, tmp_path: Path) -> Receiver:
    config = load_config(config_table(plans=True))
    context = in_memory_context(
        target,
        config=config,
        store=store,
        registry=NoRegistry(),
        github=NoGitHub(),
        clock=FastClock(),
        variables=lambda *_: {"DATABASE_PASSWORD": SECRET},
    )
    verifier = OidcVerifier(issuer.url, tmp_path / "jwks.json")
    issuer.claims = {"event_name": "pull_request", "base_ref": "main", "ref": "refs/pull/7/merge"}
    return receiver_of(
        store, config, verify_token=verifier.verify_token, preview=lambda job: preview(job, context)
    )


def ask(receiver: Receiver, issuer: Issuer, **changes: Any) -> Any:
    images = {name: image(name, "a") for name in ("backend", "frontend")}
    raw = encode_request(deploy_request(**{"images": images, **changes}))
    return accept_plan(receiver, raw=raw, bearer=issuer.mint(audience_of(URL, raw)))


def test_it_says_what_a_merge_would_change_and_what_nobody_gives(
    receiver: Receiver, issuer: Issuer, target: MemoryTarget, store: SqliteStore
) -> None:
    files = {"compose.yaml": "a: ${STRIPE_KEY} ${DATABASE_PASSWORD} ${GIVEN} ${X:-1}"}
    found = ask(receiver, issuer, bundle=Bundle("compose.yaml", files), variables={"GIVEN": "1"})
    assert found.changes == {"backend": "new", "frontend": "new"}
    assert found.missing_variables == ["STRIPE_KEY"]
    assert "create  backend" in found.plan
    assert not set(target.calls) - {"render"}
    assert count(store, "deployment") == count(store, "release") == 0 and count(store, "proof") == 1


def test_a_token_makes_one_plan(receiver: Receiver, issuer: Issuer) -> None:
    images = {name: image(name, "a") for name in ("backend", "frontend")}
    raw = encode_request(deploy_request(images=images))
    bearer = issuer.mint(audience_of(URL, raw))
    accept_plan(receiver, raw=raw, bearer=bearer)
    with pytest.raises(TokenRejected, match="used before"):
        accept_plan(receiver, raw=raw, bearer=bearer)
    for other in (None, "", "dpl_a-persons-token", issuer.mint(audience_of(URL, raw + b" "))):
        with pytest.raises(TokenRejected):
            accept_plan(receiver, raw=raw, bearer=other)


def test_a_service_that_is_not_built_asks_no_registry(
    receiver: Receiver, issuer: Issuer, target: MemoryTarget
) -> None:
    model = shop()
    model["services"]["cache"] = {"image": f"evil.example/{SECRET}:1", "networks": {"default": None}}
    target.model = model
    found = ask(receiver, issuer)
    assert found.changes["cache"] == "new"
    assert SECRET not in repr(found)


def test_what_compose_refuses_is_told_without_values(
    receiver: Receiver, issuer: Issuer, target: MemoryTarget
) -> None:
    target.breaks["render"] = ComposeRejected(f"services.x: {SECRET} is no port", hint=f"not {SECRET}")
    with pytest.raises(ComposeRejected) as caught:
        ask(receiver, issuer)
    assert SECRET not in caught.value.diagnostics() and "is no port" in str(caught.value)
    target.breaks["render"] = ComposeRejected("required variable STRIPE_KEY is missing a value")
    files = {"compose.yaml": "a: ${STRIPE_KEY:?}"}
    found = ask(receiver, issuer, bundle=Bundle("compose.yaml", files))
    assert (found.changes, found.missing_variables) == ({}, ["STRIPE_KEY"])
    assert found.plan.startswith("required variable STRIPE_KEY")


SECRETS = {
    "plain": SECRET,
    "upper": "CanaryOfTheSERVER77",
    "quotes": 'canary"of\'the"server99',
    "lines": "canary-first-line\ncanary-second-line\n",
    "backslashes": "canary\\of\\nserver",
    "colons": "canaryuser:canarypassword@canaryhost",
    "long": "canary" * 600,
    "dollars": "canary$${HOME}server",
}
HOSTILE = {
    "ports": "    ports: ['${DATABASE_PASSWORD}:80']\n",
    "size": "    mem_limit: ${DATABASE_PASSWORD}\n",
    "duration": "    healthcheck: {test: [CMD, x], interval: '${DATABASE_PASSWORD}'}\n",
    "number": "    deploy: {replicas: '${DATABASE_PASSWORD}'}\n",
    "truth": "    read_only: ${DATABASE_PASSWORD}\n",
    "message": "    command: '${NOT_GIVEN:?${DATABASE_PASSWORD}}'\n",
    "in a word": "    shm_size: x${DATABASE_PASSWORD}x\n",
    "cut off": "    ulimits: {nofile: '${DATABASE_PASSWORD}'}\n",
    "mount": "    volumes: ['${DATABASE_PASSWORD}:b:c:d:e']\n",
    "device": "    devices: ['/dev/${DATABASE_PASSWORD}:/dev/a']\n",
    "capability": "    cap_add: ['${DATABASE_PASSWORD}']\n",
    "option": "    security_opt: ['label:${DATABASE_PASSWORD}']\n",
    "namespace": "    pid: container:${DATABASE_PASSWORD}\n",
    "dependency": "    network_mode: service:${DATABASE_PASSWORD}\n",
    "network": "networks: {e: {external: true, name: '${DATABASE_PASSWORD}'}}\n",
    "volume": "    volumes: ['v:/v']\nvolumes: {v: {driver: '${DATABASE_PASSWORD}'}}\n",
    "secret": "    secrets: [s]\nsecrets: {s: {file: '/${DATABASE_PASSWORD}'}}\n",
    "bad syntax": "    command: '${DATABASE_PASSWORD} ${'\n",
}


@pytest.mark.case("X03", "D06")
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("line", HOSTILE)
def test_an_unmerged_compose_file_cannot_make_compose_say_a_value_of_the_server(
    line: str, secret: str, target: MemoryTarget, store: SqliteStore, tmp_path: Path
) -> None:
    """The real Compose, and what is judged of its model."""
    value = SECRETS[secret]
    compose = Compose(tmp_path / "state")
    target.render = compose.renderer.render  # type: ignore[method-assign]
    config = load_config(config_table(plans=True))
    context = in_memory_context(
        target,
        config=config,
        store=store,
        registry=NoRegistry(),
        github=NoGitHub(),
        clock=FastClock(),
        variables=lambda *_: {"DATABASE_PASSWORD": value},
    )
    text = f"services:\n  web:\n    image: ghcr.io/acme/shop\n{HOSTILE[line]}"
    job = DeployJob(
        "shop",
        "production",
        Kind.DEPLOY,
        Trigger.ACTION,
        "me",
        bundle=Bundle("compose.yaml", {"compose.yaml": text}),
    )
    try:
        said = repr(preview(job, context))
    except DeployerError as error:
        said = error.diagnostics()
    words = [word.casefold() for word in re.findall("[^\\W_]{6,}", value)]
    parts = {word[at : at + 6] for word in words for at in range(len(word) - 5)}
    assert parts and not [part for part in parts if part in said.casefold()], said


def test_images_of_others_are_refused(receiver: Receiver, issuer: Issuer) -> None:
    with pytest.raises(Forbidden, match="not an image repository"):
        ask(receiver, issuer, images={"web": Image("ghcr.io/mallory/x", "sha256:" + "a" * 64)})


def test_only_so_many_plans_are_made_at_once_and_the_token_is_not_spent_on_a_refusal(
    receiver: Receiver, issuer: Issuer, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.ingress.plan_requests._PLAN_PATIENCE", 0.01)
    with receiver.planning, receiver.planning, pytest.raises(TooManyRequests) as refused:
        ask(receiver, issuer)
    assert refused.value.after > 0 and "too many plans" in str(refused.value)
    assert count(store, "proof") == 0
    assert ask(receiver, issuer).changes
