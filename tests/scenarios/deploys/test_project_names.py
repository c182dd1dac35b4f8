"""Data under another project name than the environment's, on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.core.rollout.desired_state import EDGE
from testing.docker.compose_project import deploy_project, deployed_project
from testing.github.events import OWNER_ID, REPOSITORY, REPOSITORY_ID
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
[apps.api]
OWNER
images = ["NAMESPACE/shop-*"]
[apps.api.environments.production]
project = "PROJECT-api"

[apps.staging]
OWNER
images = ["NAMESPACE/shop-*"]
[apps.staging.environments.production]
project = "PROJECT-staging"

[oidc]"""


@pytest.fixture
def neighbours(stage: Stage) -> Iterator[str]:
    """Two more apps, whose projects begin with the name of the first."""
    near = NEAR.replace("PROJECT", stage.project).replace("NAMESPACE", stage.namespace)
    owner = f'repository = "{REPOSITORY}"\nrepository-id = {REPOSITORY_ID}\nowner-id = {OWNER_ID}'
    stage.reconfigure("[oidc]", near.replace("OWNER", owner))
    yield stage.project
    for name in ("api", "staging"):
        remove_containers(f"{stage.project}-{name}")


def near_files(mark: str, *services: str, **fixed: str) -> dict[str, str]:
    tables = {name: {"build": ".", "environment": {"MARK": mark}} for name in (*services, *fixed)}
    for name, called in fixed.items():
        tables[name] |= {"container_name": called}
    return {"Dockerfile": "FROM nginx:alpine\n", "compose.yaml": json.dumps({"services": tables})}


def names_of(project: str) -> set[str]:
    label = f"label=com.docker.compose.project={project}"
    listed = docker("ps", "--format", "{{.Names}}", "--filter", label).split()
    return {name for name in listed if f"-{EDGE}-" not in name}


@pytest.mark.case("X09")
def test_x9_apps_whose_names_begin_alike_deploy_change_and_roll_back_beside_each_other(
    stage: Stage, neighbours: str
) -> None:
    fixed = {"web": f"{neighbours}-staging"}  # as the other project is called, and as no container of it is
    for mark in ("one", "two", "three"):
        deployed_project(stage, near_files(mark, "api", "staging", "api-more", **fixed), app="shop")
        deployed_project(stage, near_files(mark, "web"), app="api")
        deployed_project(stage, near_files(mark, "web"), app="staging")
    for app in ("shop", "api", "staging"):
        told = stage.cli("rollback", app)
        assert told.returncode == 0, told.stdout + told.stderr
    ours = {name.removeprefix(f"{neighbours}-").rstrip("-12") for name in names_of(neighbours)}
    assert ours == {"api", "staging", "api-more"}
    before = {one for end in ("", "-api", "-staging") for one in names_of(neighbours + end)}
    assert len(before) == 6, before
    for service, owner in (("api-web", "api"), ("staging-web", "staging")):
        refused = deploy_project(stage, near_files("four", "api", service), app="shop")
        assert "[name-taken]" in refused["reason"], refused["reason"]
        assert f"which a container of project {neighbours}-{owner} has" in refused["reason"]
    taken = f"{neighbours}-api-web-9"
    refused = deploy_project(stage, near_files("four", "api", web=taken), app="shop")
    assert f"container_name:{taken}" in refused["reason"], refused["reason"]
    after = {one for end in ("", "-api", "-staging") for one in names_of(neighbours + end)}
    assert after == before, "nothing was touched"


@pytest.mark.case("X09")
def test_x9_data_of_a_project_run_by_hand_is_not_of_a_shorter_name(stage: Stage, tmp_path: Path) -> None:
    hand, key = f"{stage.project}_legacy", "legacy_data"
    services = {"web": {"build": ".", "volumes": [f"{key}:/data"]}}
    compose = json.dumps({"services": services, "volumes": {key: None}})
    files = {"Dockerfile": "FROM nginx:alpine\n", "compose.yaml": compose}
    deployed_project(stage, files)  # its own volume, as there is no such project
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'nginx:alpine'}}", encoding="utf-8")
    try:
        docker("compose", "-p", hand, "up", "-d", cwd=tmp_path)
        deployed_project(stage, files)  # changes nothing
        changed = {**files, "compose.yaml": compose.replace('"build"', '"environment": {"A": "1"}, "build"')}
        refused = deploy_project(stage, changed)
        assert "[power-refused]" in refused["reason"], refused["reason"]
        assert f"asks for volume:{hand}_data" in refused["reason"]
        at = f'project = "{stage.project}"'
        stage.reconfigure(at, f'{at}\nallow = ["volume:{hand}_data"]')
        deployed_project(stage, changed)
        assert stage.cli("rollback", "shop").returncode == 0
    finally:
        remove_containers(hand)
