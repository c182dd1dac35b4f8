"""Several replicas of one service: how they are replaced, and who of them serves between deploys."""

from __future__ import annotations

import threading

import pytest

from testing.docker.docker_cli import wait_for
from testing.load.http_load import Load
from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, of, ship

pytestmark = pytest.mark.engine

PACED = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        deploy:
          replicas: 3
          update_config: {{parallelism: 1, delay: 200ms, order: start-first}}
        healthcheck: {{test: "test ! -e /tmp/sick", interval: 1s, retries: 1, start_period: 1s}}
        command: ["node", "server.js", "{crash}"]
"""


@pytest.fixture
def echo(stage: Stage) -> Published:
    stage.source.write("backend/server.js", ECHO + "if (process.argv[2] === 'crash') process.exit(7);\n")
    return stage.publish("1.0.0")


class Most:
    """The most containers of a service that were seen at once; a context manager."""

    def __init__(self, stage: Stage) -> None:
        self.seen = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(stage,), daemon=True)

    def __enter__(self) -> Most:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self, stage: Stage) -> None:
        label = f"label=com.docker.compose.project={stage.project}"
        while not self._over.is_set():
            names = docker("ps", "-a", "--filter", label, "--format", "{{.Names}}").split()
            self.seen = max(self.seen, sum("-web-" in name for name in names))


def hosts(stage: Stage) -> int:
    return len({ask(stage)["host"] for _ in range(12)})


@pytest.mark.alone
def test_replicas_roll_at_the_files_pace_and_only_healthy_ones_serve(stage: Stage, echo: Published) -> None:
    assert ship(stage, echo, PACED.format(mark="one", crash=""))["status"] == "success"
    with Most(stage) as most, Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        ended = ship(stage, echo, PACED.format(mark="two", crash=""))
        assert ended["status"] == "success", ended["reason"]
        assert {ask(stage)["env"] for _ in range(12)} == {"two"} and len(of(stage, "web")) == 3
        ended = ship(stage, echo, PACED.format(mark="three", crash="crash"))
        assert ended["status"] == "failure" and "serves as before" in str(ended["reason"]), ended["reason"]
        assert {ask(stage)["env"] for _ in range(12)} == {"two"} and hosts(stage) == 3
        sick = str(of(stage, "web")[0]["Id"])
        docker("exec", sick, "touch", "/tmp/sick")
        wait_for("the sick one out of the edge", lambda: hosts(stage) == 2)
        docker("exec", sick, "rm", "/tmp/sick")
        wait_for("it back in the edge", lambda: hosts(stage) == 3)
    assert most.seen == 4, "three, and the one that comes"
    assert load.report.losses() == []
