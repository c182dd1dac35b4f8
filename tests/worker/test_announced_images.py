"""An announced image: it deploys once the release of the branch's newest commit is whole, and once only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from deployer.adapters.github.github_client import GitHubClient
from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.config.settings import load_config
from deployer.core.errors import ComposeRejected, GitHubUnavailable, ImageNotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Credentials, Status
from deployer.core.queue.supersede import Outcome
from deployer.deployment.context import DeployContext
from deployer.ingress.receiver import Receipt, Receiver, accept_delivery
from deployer.worker.announced_images import resolve_announcement
from testing.compose_models import shop
from testing.github.rest_api import GitHubServer
from testing.receiver.in_memory_target import MemoryTarget, in_memory_context
from testing.receiver.receiver_inputs import (
    REVISION,
    announcement,
    body_of,
    config_table,
    headers_of,
    package_event,
    receiver_of,
    sign,
)
from testing.receiver.senders import count
from tests.deployment.test_deploy import FastClock

TAG = f"sha-{REVISION}"
OLD = "0" * 40
COMPOSE = {"compose.yaml": "services: {}\n"}


@dataclass
class Pushed:
    """A registry: image → tag → digest."""

    images: dict[str, str] = field(default_factory=dict)
    down: bool = False

    def push(self, service: str) -> None:
        self.images[f"ghcr.io/acme/shop-{service}:{TAG}"] = "sha256:" + service[0].replace("f", "d") * 64

    def layers(self, image: Image, credentials: Credentials | None) -> dict[str, int]:
        return {}

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        return ImageConfig()

    def judge(self, repository: str) -> None:
        return

    def require(self, image: Image, credentials: Credentials | None) -> None:
        return

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        if self.down:
            raise RegistryUnavailable("the registry does not answer")
        name = f"{repository}:{tag}"
        if name not in self.images:
            raise ImageNotFound(f"{name} is not there")
        return Image(repository, self.images[name])


@pytest.fixture
def stand_in() -> Iterator[GitHubServer]:
    with GitHubServer({"acme/shop": {OLD: COMPOSE, REVISION: COMPOSE}}, token="t") as github:
        yield github


@pytest.fixture
def registry() -> Pushed:
    return Pushed()


@pytest.fixture
def context(store: SqliteStore, stand_in: GitHubServer, registry: Pushed) -> Iterator[DeployContext]:
    table = config_table(packages=True, trust_tags=True)
    table["apps"]["shop"]["environments"]["staging"] = {
        "packages": True,
        "trust-tags": True,
        "branch": "develop",
    }
    model = shop()
    for name in ("backend", "frontend"):
        model["services"][name] = {"build": ".", "networks": {"default": None}}
    github = GitHubClient(api=stand_in.url, token="t", ledger=store.github_ids)
    yield in_memory_context(
        MemoryTarget(model),
        config=load_config(table),
        store=store,
        registry=registry,
        github=github,
        clock=FastClock(),
        variables=lambda *_: {"DATABASE_PASSWORD": "canary-of-the-server"},
    )
    github.close(5)
    assert not stand_in.breaches


@pytest.fixture
def receiver(store: SqliteStore, context: DeployContext) -> Receiver:
    return receiver_of(
        store, context.config, resolve_announcement=lambda jobs: resolve_announcement(jobs, context)
    )


def send(receiver: Receiver, event: str = "package", **changes: Any) -> Receipt:
    raw = body_of(package_event(event, **changes))
    return accept_delivery(receiver, headers=headers_of(event), raw=raw, signature=sign(raw))


def test_only_the_image_that_makes_the_release_whole_deploys_it(
    receiver: Receiver, registry: Pushed, store: SqliteStore
) -> None:
    registry.push("backend")
    first = send(receiver, name="shop-backend")
    assert (first.outcome, first.deployment) == (Outcome.IGNORED, None)
    assert "incomplete" in first.reason and "shop-frontend" in first.reason
    registry.push("frontend")
    assert send(receiver, name="shop-frontend").outcome is Outcome.QUEUED
    claimed = store.queue.claim(1.0)
    assert claimed
    job = claimed[1]
    assert {name: image.digest[-1] for name, image in (job.images or {}).items()} == {
        "backend": "b",
        "frontend": "d",
    }
    assert job.bundle and dict(job.bundle.files) == COMPOSE


def test_all_other_events_of_the_release_find_it_there(
    receiver: Receiver, registry: Pushed, store: SqliteStore
) -> None:
    registry.push("backend")
    registry.push("frontend")
    for event in ("package", "registry_package"):
        for name, tag in [("shop-backend", TAG), ("shop-frontend", "main"), ("shop-frontend", "latest")]:
            receipt = send(receiver, event, name=name, tag=tag)
            assert receipt.outcome in (Outcome.QUEUED, Outcome.DUPLICATE)
    assert count(store, "deployment") == 1
    claimed = store.queue.claim(1.0)
    assert claimed
    store.queue.finish(claimed[0].id, Status.SUCCESS, "", 2.0)
    assert send(receiver).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize("commit", [OLD, "c" * 40])
def test_an_older_commit_or_one_of_another_branch_deploys_nothing(
    receiver: Receiver, registry: Pushed, commit: str
) -> None:
    registry.push("backend")
    registry.push("frontend")
    receipt = send(receiver, tag="latest", commit=commit)
    assert receipt.outcome is Outcome.IGNORED
    assert "not the newest commit" in receipt.reason


def test_two_environments_of_one_branch_are_not_chosen_between(
    receiver: Receiver, context: DeployContext
) -> None:
    object.__setattr__(context.config.app("shop").environment("staging"), "branch", "main")
    assert "shop/production, shop/staging" in send(receiver).reason


def test_what_cannot_be_looked_up_is_shown_as_failed(
    receiver: Receiver, registry: Pushed, stand_in: GitHubServer
) -> None:
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        send(receiver)
    stand_in.break_with("502")
    with pytest.raises(GitHubUnavailable):
        send(receiver)


def test_what_compose_says_of_a_model_is_told_without_secrets(
    receiver: Receiver, context: DeployContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ComposeRejected("port canary-of-the-server is none")

    monkeypatch.setattr(MemoryTarget, "render", refuse)
    reason = send(receiver).reason
    assert "is none" in reason and "canary" not in reason


def test_without_a_token_for_github_nothing_can_be_looked_up() -> None:
    with pytest.raises(GitHubUnavailable, match="no GitHub token"):
        NoGitHub().tip("acme/shop", "main")


def test_a_deployment_on_github_asks_for_its_images_and_hears_of_them(
    receiver: Receiver, store: SqliteStore, context: DeployContext
) -> None:
    raw = body_of(
        announcement(payload={"schema": 1, "images": {"web": "ghcr.io/acme/shop-web@sha256:" + "b" * 64}})
    )
    headers, signature = headers_of("deployment"), sign(raw)
    receipt = accept_delivery(receiver, headers=headers, raw=raw, signature=signature)
    assert receipt.outcome is Outcome.QUEUED and receipt.deployment
    assert store.github_ids.forge_id(receipt.deployment.id) == 145988746
    again = accept_delivery(receiver, headers=headers, raw=raw, signature=signature)
    assert again.outcome is Outcome.DUPLICATE


def test_of_an_environment_with_a_pattern_the_newest_commit_of_a_branch_that_fits_is_deployed(
    receiver: Receiver, context: DeployContext, registry: Pushed, store: SqliteStore
) -> None:
    for setting, outcome in (("rel/*", Outcome.IGNORED), ("m*", Outcome.QUEUED)):
        object.__setattr__(context.config.app("shop").environment("production"), "branch", setting)
        registry.push("backend")
        registry.push("frontend")
        assert send(receiver).outcome is outcome
    claimed = store.queue.claim(1.0)
    assert claimed and claimed[1].branch == "main"
