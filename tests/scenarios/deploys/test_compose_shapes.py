"""Compose files as people write them: replicas, tasks, workers, volumes, configs, several networks, services
that come and go.
"""

from __future__ import annotations

import json
import textwrap
import urllib.request
from typing import Any

import pytest

from deployer.core.model import Bundle
from testing.docker.docker_cli import service_of
from testing.load.http_load import Load
from testing.stage import Published, Stage, docker

pytestmark = pytest.mark.engine
ECHO = """\
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
const read = (path) => { try { return fs.readFileSync(path, 'utf8').trim(); } catch { return ''; } };
const host = os.hostname();
const server = http.createServer((_, response) => {
  const body = { host, env: process.env.MARK || '', config: read('/etc/echo.conf') };
  response.end(JSON.stringify(body) + '\\n');
});
server.listen(3001);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
CHECK = """healthcheck:
      test: ["CMD", "wget", "-qO-", "http://127.0.0.1:3001/"]
      interval: 5s
      start_period: 20s
      start_interval: 250ms"""


@pytest.fixture
def echo(stage: Stage) -> Published:
    """One built service that tells who answered, with which variable and which config file."""
    stage.source.write("backend/server.js", ECHO)
    return stage.publish("1.0.0")


def ship(stage: Stage, release: Published, compose: str, **files: str) -> dict[str, object]:
    """Deploys the release's backend image in another Compose file."""
    status, answer = request_of(stage, release, compose, **files)
    assert status == 202, answer
    return stage.finished(answer["id"], answer["read_token"])


def request_of(stage: Stage, release: Published, compose: str, **files: str) -> tuple[int, dict[str, Any]]:
    text = written(stage, compose)
    named = {name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()}
    image = release.images["backend"]
    built = [name for name in ("web", "worker", "migrate", "api") if f"\n  {name}:" in text]
    return stage.request(
        release,
        images=dict.fromkeys(built, image),
        bundle=Bundle("compose.yaml", {"compose.yaml": text} | named),
    )


def written(stage: Stage, compose: str) -> str:
    return textwrap.dedent(compose).replace("{check}", CHECK).replace("{port}", str(stage.api_port))


def ask(stage: Stage) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{stage.api_port}/", timeout=10) as answer:
        body: dict[str, str] = json.loads(answer.read())
        return body


def of(stage: Stage, service: str) -> list[dict[str, object]]:
    return [c for c in stage.containers() if service_of(c) == service]


REPLICAS = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        deploy: {{replicas: {count}}}
        {{check}}
"""


@pytest.mark.alone
def test_replicas_share_the_load_and_roll_and_shrink_without_a_lost_request(
    stage: Stage, echo: Published
) -> None:
    def deploy(mark: str, count: int) -> None:
        ended = ship(stage, echo, REPLICAS.format(mark=mark, count=count))
        assert ended["status"] == "success", ended["reason"]

    deploy("one", 3)
    assert len({ask(stage)["host"] for _ in range(12)}) == 3
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        deploy("two", 3)
        assert ask(stage)["env"] == "two" and len(of(stage, "web")) == 3
        deploy("two", 1)
        assert len(of(stage, "web")) == 1
        deploy("two", 2)
        assert len(of(stage, "web")) == 2
    assert load.report.losses() == []


STACK = """
    services:
      migrate:
        build: backend
        command: ["node", "-e", "require('fs').appendFileSync('/data/ran', 'x')"]
        user: "0"
        volumes: ["data:/data"]
        x-deployer: {order: stop-first}
      web:
        build: backend
        depends_on: {migrate: {condition: service_completed_successfully}}
        env_file: [app.env]
        ports: ["{port}:3001"]
        configs: [{source: echo, target: /etc/echo.conf}]
        networks: {front: {aliases: [www]}, back: {}}
        {check}
      worker:
        build: backend
        command: ["node", "-e", "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))"]
        networks: [back]
        volumes: ["./settings/worker.conf:/etc/worker.conf:ro"]
      nosy:
        image: node:20-alpine
        profiles: [debug]
    configs: {echo: {file: settings/echo.conf}}
    networks: {front: {}, back: {internal: true}}
    volumes: {data: {}}
"""


@pytest.mark.alone
def test_a_stack_with_a_task_a_worker_configs_and_two_networks(stage: Stage, echo: Published) -> None:
    def deploy(text: str = STACK, config: str = "first", env: str = "MARK=file") -> dict[str, object]:
        files = {"app_dot_env": env, "settings__echo_dot_conf": config, "settings__worker_dot_conf": "w"}
        ended = ship(stage, echo, text, **files)
        assert ended["status"] == "success", ended["reason"]
        return ended

    try:
        deploy()
        assert ask(stage) | {"host": ""} == {"host": "", "env": "file", "config": "first"}
        assert {c["State"]["Status"] for c in of(stage, "migrate")} == {"exited"}  # type: ignore[index]
        volume = f"{stage.project}_data"
        assert _read(stage, volume) == "x"
        deploy()
        assert _read(stage, volume) == "x", "a finished task must not run again for the same release"
        with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
            deploy(config="second")
        assert ask(stage)["config"] == "second"
        assert load.report.losses() == []
        without = STACK.replace("      worker:", "      worker2:").split("      worker2:")[0]
        without += "    configs: {echo: {file: settings/echo.conf}}\n"
        without += "    networks: {front: {}, back: {internal: true}}\n    volumes: {data: {}}\n"
        deploy(without, config="second")
        assert of(stage, "worker") == []
    finally:
        _forget_volume(stage)


def _read(stage: Stage, volume: str) -> str:
    return docker("run", "--rm", "-v", f"{volume}:/data", "node:20-alpine", "cat", "/data/ran").strip()


def _forget_volume(stage: Stage) -> None:
    for container in stage.containers():
        docker("rm", "-f", container["Id"])
    docker("volume", "rm", f"{stage.project}_data")


DATABASE = """
    services:
      web:
        build: backend
        container_name: {name}
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        volumes: ["state:/state", "/nameless"]
        {{check}}
    volumes: {{state: {{}}}}
"""


@pytest.mark.alone
def test_e10_a_service_with_a_name_and_a_volume_is_replaced_stop_first_and_restored_when_it_fails(
    stage: Stage, echo: Published
) -> None:
    name = f"{stage.project}-only"

    def deploy(mark: str, command: str = "") -> dict[str, object]:
        text = DATABASE.format(name=name, mark=mark)
        line = f"\n        command: {command}" if command else ""
        return ship(stage, echo, text.replace("build: backend", f"build: backend{line}"))

    try:
        first = deploy("one")
        assert first["status"] == "success", first["reason"]
        docker("exec", "-u", "0", name, "sh", "-c", "echo kept > /nameless/file")
        assert deploy("two")["status"] == "success"
        assert ask(stage)["env"] == "two"
        assert docker("exec", name, "cat", "/nameless/file") == "kept\n", "as Compose hands it on"
        (served,) = of(stage, "web")
        assert served["Name"] == f"/{name}"
        before = served["State"]["StartedAt"]  # type: ignore[index]
        for command in ("[node, -e, process.exit(3)]", "[no-such-program]"):
            with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
                ended = deploy("three", command)
            assert ended["status"] == "failure" and "a copy of the new one" in str(ended["reason"]), ended
            assert "serves as before" in str(ended["reason"])
            assert load.report.losses() == [], "the old one was not stopped"
        ended = deploy("three", "[node, -e, 'setTimeout(() => process.exit(3), 1500)']")
        assert ended["status"] == "failure" and "serves as before" in str(ended["reason"]), ended
        assert ask(stage)["env"] == "two"
        (again,) = of(stage, "web")
        assert again["Id"] == served["Id"] and again["State"]["StartedAt"] != before, "it was started again"  # type: ignore[index]
        assert len(stage.containers()) == 1
    finally:
        for container in stage.containers():
            docker("rm", "-f", container["Id"])
        docker("volume", "rm", f"{stage.project}_state")


def test_published_ports_may_move_between_releases(stage: Stage, echo: Published) -> None:
    text = REPLICAS.format(mark="one", count=1)
    first = ship(stage, echo, text)
    assert first["status"] == "success", first["reason"]
    moved = text.replace('"{port}:3001"', f'"{stage.web_port}:3001"')
    assert ship(stage, echo, moved)["status"] == "success"
    with urllib.request.urlopen(f"http://127.0.0.1:{stage.web_port}/", timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(OSError):
        ask(stage)


@pytest.mark.long
def test_a_service_may_change_between_stop_first_and_start_first(stage: Stage, echo: Published) -> None:
    """Its port moves between its own container and the edge: a gap, but it comes back right, both ways."""
    start_first = REPLICAS.format(mark="edge", count=1)
    stop_first = REPLICAS.format(mark="own", count=1).replace(
        "ports:", "x-deployer: {order: stop-first}\n        ports:"
    )
    for text, mark in ((stop_first, "own"), (start_first, "edge"), (stop_first, "own")):
        ended = ship(stage, echo, text)
        assert ended["status"] == "success", ended["reason"]
        assert ask(stage)["env"] == mark
    assert len(stage.containers()) == 1


PICKY = """
    services:
      web:
        build: backend
        ports: ["{port}:3001"]
        healthcheck:
          test: "wget -qO- http://127.0.0.1:3001/ | grep -q database-is-connected"
          interval: 1s
          timeout: 1s
          retries: 1
          start_period: 2s
"""


def test_a_check_that_decides_by_more_than_the_answer_is_believed(stage: Stage, echo: Published) -> None:
    ended = ship(stage, echo, PICKY)
    assert ended["status"] == "failure" and "its health check failed" in str(ended["reason"]), ended["reason"]


@pytest.mark.long
def test_a_new_replica_at_a_dead_ones_address_must_pass_the_gate_too(stage: Stage, echo: Published) -> None:
    text = REPLICAS.format(mark="one", count=1)
    assert ship(stage, echo, text)["status"] == "success"
    docker("rm", "-f", f"{stage.project}-web-1")
    silent = text.replace("build: backend", 'build: backend\n        command: ["sleep", "600"]')
    silent = silent.replace("deploy: {", "x-deployer: {gate-timeout: 4s}\n        deploy: {")
    ended = ship(stage, echo, silent)
    assert ended["status"] == "failure" and "not ready within 4 s" in str(ended["reason"]), ended["reason"]


@pytest.mark.alone
def test_e6_a_redeploy_after_scaling_by_hand_sends_nobody_to_what_it_removes(
    stage: Stage, echo: Published
) -> None:
    text = REPLICAS.format(mark="one", count=1)
    assert ship(stage, echo, text)["status"] == "success"
    portless = written(stage, text).replace("ports: ", "expose: ").replace(f"{stage.api_port}:", "")
    by_hand = stage.folder / "compose.yaml"
    by_hand.write_text(portless.replace("build: backend", f"image: {echo.images['backend']}"))
    docker(
        "compose", "-p", stage.project, "-f", str(by_hand), "up", "-d", "--no-recreate", "--scale", "web=2"
    )
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        assert stage.cli("redeploy", "shop").returncode == 0
    assert load.report.losses() == []
    assert len(of(stage, "web")) == 1
