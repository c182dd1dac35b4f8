"""Hooks on the real engine: from the new image, under the lock, before anything is touched; also over a
kill -9.
"""

from __future__ import annotations

import pytest

from testing.load.http_load import Load
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, request_of, ship

pytestmark = pytest.mark.engine

HOOKED = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        volumes: ["ran:/ran:ro"]
        {{check}}
      migrations:
        image: {image}
        user: "0"
        command: ["sleep", "600"]
        init: true
        volumes: ["ran:/ran"]
        environment: {{MARK: "{mark}"}}
        x-deployer:
          order: start-first
          pre-deploy: sh -c "{before}"
          post-deploy: sh -c "echo after >> /ran/log"
          on-rollback: sh -c "echo back >> /ran/log"
    volumes: {{ran: {{}}}}
"""
MIGRATE = "sleep {nap}; echo before $$MARK | tee -a /ran/log"


@pytest.mark.long
@pytest.mark.alone
def test_hooks_run_around_a_deploy_and_once_also_when_the_receiver_is_killed_meanwhile(stage: Stage) -> None:
    stage.source.write("backend/server.js", ECHO)
    echo = stage.publish("1.0.0")
    text = HOOKED.replace("{image}", str(echo.images["backend"]))

    def deploy(mark: str, before: str = MIGRATE.format(nap=0), broken: bool = False) -> dict[str, object]:
        written = text.format(mark=mark, before=before)
        if broken:
            written = written.replace("build: backend", "build: backend\n        command: [node, -e, x]")
        return ship(stage, echo, written)

    try:
        assert deploy("one")["status"] == "success"
        assert ran(stage) == ["before one", "after"]
        with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
            ended = deploy("two", before="echo no such table; exit 4")
            assert "pre-deploy of migrations ended with code 4; it said: no such table" in str(
                ended["reason"]
            )
            assert ask(stage)["env"] == "one" and ran(stage) == ["before one", "after"]
            assert deploy("three", broken=True)["status"] == "failure"
            assert ran(stage)[2:] == ["before three", "back"]
        assert load.report.losses() == []
        killed(stage, echo, text.format(mark="four", before=MIGRATE.format(nap=3)))
        wait_for("the deploy to end", lambda: ask(stage)["env"] == "four", 60)
        wait_for("its last hook", lambda: ran(stage)[4:] == ["before four", "after"], 20)
        label = f"label=com.docker.compose.project={stage.project}"
        wait_for(
            "no hook left",
            lambda: not docker("ps", "-aq", "--filter", label, "--filter", "label=deployer.hook"),
        )
    finally:
        for container in stage.containers():
            docker("rm", "-f", container["Id"])
        docker("volume", "rm", f"{stage.project}_ran")


def killed(stage: Stage, echo: Published, text: str) -> None:
    """A deploy whose receiver is killed while its hook runs, and started again."""
    assert request_of(stage, echo, text)[0] == 202
    running = ("ps", "-q", "--filter", f"name={stage.project}-migrations-pre-deploy")
    wait_for("the hook to run", lambda: docker(*running).strip())
    stage.kill()
    stage.serve()


def ran(stage: Stage) -> list[str]:
    mount = f"{stage.project}_ran:/ran"
    return docker("run", "--rm", "-v", mount, "node:20-alpine", "cat", "/ran/log").splitlines()
