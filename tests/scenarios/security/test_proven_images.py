"""Tags that another branch's job put into the real registry, and what production runs nevertheless: the
images that its own protected run built, or none.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deployer.ci.images.manifests import Manifest, find_manifest, put_manifest
from testing.client import WORKFLOW
from testing.github.action_runner import RunResult
from testing.github.events import REPOSITORY, REPOSITORY_ID
from testing.stage import Stage
from testing.user_repository import SERVICES

pytestmark = pytest.mark.engine


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage(trusts_tags=False) as made:
        yield made


class Attacker:
    """A job on another branch with `packages: write`: images of its own, and every tag that there is."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        evil = stage.publish("6.6.6")
        self.images: Mapping[str, Manifest] = {name: self._manifest(name, evil.revision) for name in SERVICES}

    def repository(self, service: str) -> str:
        return f"{self.stage.namespace}/shop-{service}"

    def _manifest(self, service: str, revision: str) -> Manifest:
        found = find_manifest(self.repository(service), f"sha-{revision}", "")
        assert found
        return found

    def tags(self, service: str) -> list[str]:
        path = self.repository(service).partition("/")[2]
        with urllib.request.urlopen(f"http://{self.stage.registry}/v2/{path}/tags/list") as answer:
            return list(json.loads(answer.read())["tags"])

    def poison(self, revision: str) -> None:
        """Moves every tag of a tree, a tested combination and a commit, and puts the commit's own."""
        for service in SERVICES:
            for tag in {f"sha-{revision}", *self.tags(service)}:
                put_manifest(self.repository(service), tag, self.images[service], "")

    @property
    def digests(self) -> set[str]:
        return {manifest.digest for manifest in self.images.values()}


def digests(run: RunResult) -> set[str]:
    assert run.outcome == "success", run.log
    return set(json.loads(run.outputs["digests"]).values())


def ended(stage: Stage, receipt: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    status, answer = receipt
    assert status == 202, answer
    return stage.finished(answer["id"], stage.token("read"))


def package_of(stage: Stage, revision: str) -> bytes:
    """GitHub's announcement of the backend's image."""
    namespace = stage.namespace.partition("/")[2]
    version = {"target_oid": revision, "container_metadata": {"tag": {"name": f"sha-{revision}"}}}
    package = {"name": "shop-backend", "namespace": namespace, "package_type": "CONTAINER"}
    body = {
        "action": "published",
        "package": {**package, "package_version": version},
        "repository": {"id": REPOSITORY_ID, "full_name": REPOSITORY},
        "sender": {"login": "mallory"},
    }
    return json.dumps(body).encode()


@pytest.mark.case("X05")
def test_production_runs_what_its_own_run_built_whatever_the_tags_say(stage: Stage) -> None:
    attacker = Attacker(stage)
    stage.source.release("1.0.0")
    honest = stage.act("push", "develop")
    assert honest.outcome == "success", honest.log
    revision = stage.source.commit("Same files")
    attacker.poison(revision)

    # Whoever goes by tags would take the attacker's images for tested.
    fooled = stage.act("push", "develop")
    assert digests(fooled) == attacker.digests, fooled.log

    first = stage.act("push", "main")
    assert not digests(first) & attacker.digests, first.log
    assert json.loads(first.outputs["changed"]) == ["backend", "frontend"]
    assert "Start the built images" in first.log and stage.serves() == "1.0.0"

    # The server's own record makes the next commit of the same files fast, with every tag poisoned again.
    revision = stage.source.commit("Only words")
    attacker.poison(revision)
    second = stage.act("push", "main")
    assert digests(second) == digests(first) and json.loads(second.outputs["changed"]) == []
    assert "tested already" in second.log and stage.serves() == "1.0.0"

    # A webhook and a package event of a proven commit deploy what is proven.
    attacker.poison(revision)
    assert ended(stage, stage.workflow_run(revision))["status"] == "success"
    assert stage.serves() == "1.0.0"

    # Of a commit that no protected run has proven they deploy nothing, and say which setting would let them.
    revision = stage.source.release("2.0.0")
    attacker.poison(revision)
    refused = ended(stage, stage.workflow_run(revision))
    assert refused["status"] == "failure" and "image-unproven" in refused["reason"]
    stage.reconfigure(f'workflow = "{WORKFLOW}"\n', "packages = true\n")
    status, answer = stage.deliver("package", package_of(stage, revision))
    assert (status, answer["outcome"]) == (200, "ignored") and "trust-tags = true" in answer["reason"]
    assert stage.serves() == "1.0.0"

    # The operator on the server may take a tag; the story says so.
    taken = stage.cli("deploy", "shop", "--revision", revision)
    assert "not proven by a protected run" in taken.stdout, taken.stdout + taken.stderr
    assert stage.serves() == "6.6.6"
