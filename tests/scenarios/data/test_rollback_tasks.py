"""A release that comes back runs no one-shot tasks: the data belongs to the newer one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from testing.docker.docker_cli import service_of, wait_for
from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, ship

pytestmark = pytest.mark.engine

# Each run is written down; a schema newer than its own is refused, as migration tools do.
MIGRATE = (
    "const fs = require('fs'); const own = OWN; const at = '/data/schema';"
    " const now = fs.existsSync(at) ? +fs.readFileSync(at, 'utf8') : 0;"
    " if (now > own) throw new Error('schema ' + now + ' is newer than ' + own);"
    " fs.writeFileSync(at, String(own)); fs.appendFileSync('/data/runs', own + ',');"
)
RECORD = "require('fs').appendFileSync('/data/runs', 'OWN,')"
STACK = """
    services:
      migrate:
        build: backend
        user: "0"
        command: ["node", "-e", "PROGRAM"]
        volumes: ["data:/data"]
      web:
        build: backend
        depends_on: {migrate: {condition: service_completed_successfully}}
        environment: {MARK: "vOWN"}
        COMMAND
        ports: ["{port}:3001"]
        {check}
    volumes: {data: {}}
"""
BROKEN = 'command: ["node", "-e", "process.exit(3)"]'


@pytest.fixture
def echo(stage: Stage) -> Published:
    stage.source.write("backend/server.js", ECHO)
    return stage.publish("1.0.0")


def text(program: str, schema: int, command: str = "") -> str:
    return STACK.replace("PROGRAM", program).replace("OWN", str(schema)).replace("COMMAND", command)


def runs(stage: Stage) -> str:
    """The schemas whose migration ran, one after the other."""
    image = next(one["Image"] for one in stage.containers() if service_of(one) == "web")
    return docker("run", "--rm", "-v", f"{stage.project}_data:/data", image, "cat", "/data/runs")


@pytest.mark.long
@pytest.mark.case("H07")
def test_the_old_migration_never_meets_the_newer_schema(stage: Stage, echo: Published) -> None:
    for schema in (1, 2):
        ended = ship(stage, echo, text(MIGRATE, schema))
        assert ended["status"] == "success", ended["reason"]
    assert runs(stage) == "1,2,"
    back = stage.cli("rollback", "shop")
    assert back.returncode == 0, back.stdout
    assert "migrate does not run: the release comes back" in back.stdout
    assert ask(stage)["env"] == "v1" and runs(stage) == "1,2,"
    assert stage.cli("status").returncode == 0, "a task that does not run is no drift"
    assert "migrate does not run" in stage.cli("plan", "shop").stdout
    again = stage.cli("redeploy", "shop")
    assert again.returncode == 0 and ask(stage)["env"] == "v1", again.stdout
    asked = stage.cli("redeploy", "shop", "--run-tasks")
    assert asked.returncode == 1 and "schema 2 is newer than 1" in asked.stdout, asked.stdout
    assert ask(stage)["env"] == "v1" and runs(stage) == "1,2,"


@pytest.mark.long
@pytest.mark.case("H07")
def test_a_release_that_failed_changed_the_data_too(stage: Stage, echo: Published) -> None:
    assert ship(stage, echo, text(MIGRATE, 1))["status"] == "success"
    bad = ship(stage, echo, text(MIGRATE, 2, BROKEN))
    assert bad["status"] == "failure" and runs(stage) == "1,2,", bad["reason"]
    task = next(one["Id"] for one in stage.containers() if service_of(one) == "migrate")
    docker("rm", "-f", str(task))
    again = stage.cli("redeploy", "shop")
    assert again.returncode == 0, again.stdout
    assert ask(stage)["env"] == "v1" and runs(stage) == "1,2,"


@pytest.mark.long
@pytest.mark.case("H07")
def test_a_rollback_runs_the_tasks_that_it_is_asked_for(stage: Stage, echo: Published) -> None:
    for schema in (1, 2):
        assert ship(stage, echo, text(RECORD, schema))["status"] == "success"
    token = stage.token("rollback,read")
    wrong, told = stage.post("/api/v1/apps/shop/production/rollback", token, {"run_tasks": "yes"})
    assert wrong == 400 and "run_tasks" in str(told)
    status, answer = stage.post("/api/v1/apps/shop/production/rollback", token, {"run_tasks": True})
    assert status == 202, answer
    assert stage.finished(answer["id"], token)["status"] == "success"
    assert ask(stage)["env"] == "v1" and runs(stage) == "1,2,1,"


@pytest.mark.case("H07")
@pytest.mark.case("F07")
def test_a_killed_rollback_ends_well_and_runs_no_task_after_the_restart(
    stage: Stage, echo: Published
) -> None:
    """kill -9 of the receiver at three moments of a rollback; every run of a task is written down."""
    for schema in (1, 2):
        assert ship(stage, echo, text(RECORD, schema))["status"] == "success"
    token = stage.token("rollback,read")
    for moment, mark in (("plan", "v1"), ("create", "v2"), ("start", "v1")):
        status, answer = stage.post("/api/v1/apps/shop/production/rollback", token)
        assert status == 202, answer
        wait_for(f"the moment {moment}", partial(_came_to, stage, answer["id"], token, moment))
        stage.kill()
        stage.serve()
        ended = stage.finished(answer["id"], token)
        assert (ended["status"], ended["attempts"]) == ("success", 2), ended
        assert ask(stage)["env"] == mark and runs(stage) == "1,2,", moment
    assert stage.cli("status").returncode == 0


def _came_to(stage: Stage, id: str, token: str, moment: str) -> bool:
    _, body = stage.get(f"/api/v1/deployments/{id}?after=0", token)
    events: list[dict[str, Any]] = body.get("events", [])
    return any(event["kind"] == moment for event in events)
