"""Data under another project name than the environment's, on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.core.rollout.desired_state import EDGE
from testing.docker.compose_project import deploy_project, deployed_project
from testing.stage import Published, Stage, docker, remove_containers
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, ship

pytestmark = pytest.mark.engine

STACK = """
    NAME
    services:
      web:
        build: backend
        environment: {MARK: "VALUE"}
        ports: ["{port}:3001"]
        volumes: ["VOLUME:/data"]
        user: "0"
        {check}
    volumes: {VOLUME: {}}
"""
BY_HAND = """
services:
  web:
    image: node:20-alpine
    command: ["sh", "-c", "echo row >> /data/rows"]
    volumes: ["VOLUME:/data"]
volumes: {VOLUME: {}}
"""


@pytest.fixture
def echo(stage: Stage) -> Published:
    stage.source.write("backend/server.js", ECHO)
    return stage.publish("1.0.0")


@pytest.fixture
def legacy(stage: Stage, tmp_path: Path) -> Iterator[str]:
    """What `docker compose up` by hand left under a name of its own: two rows of data."""
    name = f"old-{stage.project}"
    (tmp_path / "compose.yaml").write_text(BY_HAND.replace("VOLUME", volume(name)), encoding="utf-8")
    for _ in range(2):
        docker("compose", "-p", name, "up", cwd=tmp_path)
    yield name
    remove_containers(name)
    docker("volume", "rm", "--force", f"{name}_{volume(name)}")


def volume(project: str) -> str:
    """Of this test alone: others run beside it, and volumes of the same names are what it is about."""
    return f"rows-{project.rpartition('-')[2]}"


def text(project: str, name: str, value: str = "one") -> str:
    return (
        STACK.replace("VOLUME", volume(project))
        .replace("NAME", f"name: {name}" if name else "")
        .replace("VALUE", value)
    )


def rows(project: str) -> str:
    return docker(
        "run", "--rm", "-v", f"{project}_{volume(project)}:/data", "node:20-alpine", "cat", "/data/rows"
    )


@pytest.mark.long
@pytest.mark.case("H10")
def test_the_files_own_name_leads_to_its_data(stage: Stage, echo: Published, legacy: str) -> None:
    refused = ship(stage, echo, text(legacy, legacy))
    assert refused["status"] == "failure" and "[other-project]" in str(refused["reason"]), refused["reason"]
    assert f"own project is {legacy}, which has volumes {volume(legacy)} here" in str(refused["reason"])
    assert not stage.containers(), "nothing was touched"
    told = stage.cli("show", str(refused["id"])).stdout
    assert f'project = "{legacy}" under [apps.shop.environments.production]' in told
    stage.reconfigure(f'project = "{stage.project}"', f'project = "{legacy}"')
    docker("compose", "-p", legacy, "down")
    for value, status in (("one", "success"), ("two", "success")):
        assert ship(stage, echo, text(legacy, legacy, value))["status"] == status
    broken = text(legacy, legacy, "bad").replace(
        "user:", 'command: ["node", "-e", "process.exit(3)"]\n        user:'
    )
    assert ship(stage, echo, broken)["status"] == "failure"
    assert stage.cli("rollback", "shop").returncode == 0
    assert ask(stage)["env"] == "one" and rows(legacy) == "row\nrow\n"


@pytest.mark.long
@pytest.mark.case("H10")
def test_volumes_of_the_same_names_are_told_in_a_first_deploy(
    stage: Stage, echo: Published, legacy: str
) -> None:
    first = ship(stage, echo, text(legacy, ""))
    assert first["status"] == "success", first["reason"]
    told = stage.cli("show", str(first["id"])).stdout
    assert f"project {legacy} has volumes of the same names here ({volume(legacy)})" in told
    second = ship(stage, echo, text(legacy, "", "two"))
    assert second["status"] == "success" and legacy not in stage.cli("show", str(second["id"])).stdout
    assert rows(legacy) == "row\nrow\n"


NEAR = """
[apps.near]
repository = "acme/near"
repository-id = 77
owner-id = 78
[apps.near.environments.production]
project = "{project}-api"
[apps.near.environments.staging]
project = "{project}-staging"

[oidc]"""


@pytest.mark.case("X09")
def test_a_service_may_be_called_as_another_projects_name_ends(stage: Stage) -> None:
    stage.reconfigure("[oidc]", NEAR.format(project=stage.project))
    names = {"api", "staging"}

    def files(mark: str, *more: str) -> dict[str, str]:
        services = {name: {"build": ".", "environment": {"MARK": mark}} for name in (*names, *more)}
        return {"Dockerfile": "FROM nginx:alpine\n", "compose.yaml": json.dumps({"services": services})}

    deployed_project(stage, files("one"))
    deployed_project(stage, files("two"))
    listed = docker("ps", "--format", "{{.Names}}", "--filter", f"name={stage.project}-")
    made = {name.rpartition("-")[0].removeprefix(f"{stage.project}-") for name in listed.split()}
    assert made - {EDGE} == names
    assert stage.cli("rollback", "shop").returncode == 0
    refused = deploy_project(stage, files("three", "api-web"))
    assert refused["status"] == "failure" and "container_name:" in refused["reason"], refused["reason"]
