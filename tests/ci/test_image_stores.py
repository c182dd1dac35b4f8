"""The shipped action.yml where Docker keeps images in containerd's store, whose image ids are manifests'."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.docker.docker_cli import docker, registry, remove_images
from testing.docker.second_engine import SecondEngine
from testing.github.action_runner import RunResult, run_action
from tests.ci.conftest import ROOT, commit_all

pytestmark = pytest.mark.engine

DOCKERFILE = "FROM nginx:alpine\nCOPY page /usr/share/nginx/html/\n"
COMPOSE = """services:
  web: &site
    image: {place}/web
    build: site
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
    stop_grace_period: 0s
  side:
    <<: *site
    image: {place}/side
    build: {{context: site, labels: {{side: "1"}}}}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[SecondEngine]:
    with SecondEngine({"features": {"containerd-snapshotter": True}}) as made:
        made.fetch("nginx:alpine")
        yield made


@pytest.mark.long
def test_what_was_tested_is_pushed_and_known_again_with_the_containerd_store(
    engine: SecondEngine, tmp_path: Path
) -> None:
    assert "io.containerd.snapshotter" in docker("info", "-f", "{{.DriverStatus}}", extra=engine.env)
    name = f"stores-{secrets.token_hex(4)}"
    place, work = f"{registry()}/{name}", tmp_path / "work"
    (work / "site").mkdir(parents=True)
    (work / "compose.yaml").write_text(COMPOSE.format(place=place))
    (work / "site" / "Dockerfile").write_text(DOCKERFILE)
    (work / "site" / "page").write_text(name)

    def act(number: int) -> RunResult:
        run = run_action(
            ROOT, work, "push", {"repository": {"full_name": f"{name}/shop"}}, "refs/heads/develop",
            commit_all(work), {"registry": registry()},
            {"HOME": str(tmp_path), "GITHUB_RUN_ID": str(number), **engine.env},
            tmp_path / f"temp-{number}",
        )  # fmt: skip
        assert (run.outcome, run.outputs["mode"]) == ("success", "build"), run.log
        return run

    try:
        built = act(1)
        images = json.loads(built.outputs["images"])
        assert json.loads(built.outputs["changed"]) == ["side", "web"]
        for image in images.values():
            (kept,) = json.loads(
                docker("image", "inspect", f"{image['image']}:{image['tag']}", extra=engine.env)
            )
            assert image["id"] == kept["Id"] == image["digest"], "this store names an image by its manifest"
        # The shared engine has the other store: what it pulls by digest has the bytes that were tested.
        for service, digest in json.loads(built.outputs["digests"]).items():
            docker("pull", "--quiet", f"{place}/{service}@{digest}")
            page = docker("run", "--rm", f"{place}/{service}@{digest}", "cat", "/usr/share/nginx/html/page")
            assert page == name
        for image in images.values():
            docker("rmi", "-f", image["id"], extra=engine.env)
        (work / "README.md").write_text("Documentation changes no image.\n")
        again = act(2)
        assert json.loads(again.outputs["changed"]) == [], again.log
        assert again.outputs["digests"] == built.outputs["digests"]
    finally:
        remove_images(f"{place}/*")
