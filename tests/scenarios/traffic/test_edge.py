"""The edge itself: killed, reloaded, replaced, while users ask."""

from __future__ import annotations

import csv
import io
import re
import socket
from typing import Any

import pytest

from testing.docker.docker_cli import service_of
from testing.load.http_load import KEPT, NEW, Load
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_compose_shapes import ask, request_of, ship
from tests.scenarios.traffic.test_sessions import WebSocket

pytestmark = pytest.mark.engine
COMPOSE = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        {{check}}
"""


def deploy(stage: Stage, release: Published, mark: str) -> dict[str, Any]:
    ended = ship(stage, release, COMPOSE.format(mark=mark))
    assert ended["status"] == "success", ended["reason"]
    return ended


def edge_of(stage: Stage) -> dict[str, Any]:
    (found,) = (one for one in stage.containers() if service_of(one) == "deployer-edge")
    return found


def master(stage: Stage, command: str, name: str = "master") -> str:
    """What the edge's master, or its worker at `admin`, says."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(stage.state / "edge" / stage.project / f"{name}.sock"))
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def worker(stage: Stage) -> str:
    """The process that serves; a reload starts another."""
    found = re.search(r"^# workers\n([0-9]+)", master(stage, "show proc;quit"), re.MULTILINE)
    assert found
    return found.group(1)


def pooled(stage: Stage) -> int:
    """Connections to replicas that the edge keeps open for whoever comes."""
    rows = csv.DictReader(io.StringIO(master(stage, "show stat -1 4 -1", "admin").lstrip("# ")))
    return sum(int(row["idle_conn_cur"] or 0) for row in rows)


def serves(stage: Stage, mark: str) -> bool:
    try:
        return ask(stage)["env"] == mark
    except (OSError, ValueError):
        return False


@pytest.mark.long
def test_a_killed_edge_comes_back_by_itself_with_the_addresses_that_serve(
    stage: Stage, memory: Published
) -> None:
    for mark in ("one", "two"):  # the second address was given over the socket alone
        deploy(stage, memory, mark)
    before = edge_of(stage)
    serving = worker(stage)
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        docker("exec", before["Id"], "sh", "-c", f"kill -9 {serving}")
        wait_for("another start of the edge", lambda: edge_of(stage)["RestartCount"] > before["RestartCount"])
        wait_for("what served before", lambda: serves(stage, "two"))
    lost = load.report.lost(NEW) + load.report.lost(KEPT)
    print(f"kill -9: {lost} of {len(load.report.samples)} lost, gap {load.report.gap_ms:.0f} ms")
    assert edge_of(stage)["Id"] == before["Id"]
    assert load.report.gap_ms < 20_000
    deploy(stage, memory, "three")
    assert serves(stage, "three")


@pytest.mark.alone
def test_e3_a_reload_of_the_edge_loses_nothing_and_keeps_websockets(stage: Stage, memory: Published) -> None:
    """What an older deployer wrote is replaced by the next deploy, also by one that changes nothing else. A
    deploy that only moves addresses reloads nothing.
    """
    deploy(stage, memory, "zero")
    first = worker(stage)
    deploy(stage, memory, "one")
    assert worker(stage) == first
    assert not pooled(stage), "an application may hang up on what is kept open for later"
    file = stage.state / "edge" / stage.project / "haproxy.cfg"
    right = file.read_text()
    file.write_text(re.sub(r"description \S+", "description older", right).replace("retries 3", "retries 2"))
    assert "Success=1" in master(stage, "reload")
    file.write_text(right)
    kept = WebSocket(stage.api_port)
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        status, answer = request_of(stage, memory, COMPOSE.format(mark="one"))
        assert status == 202
        assert stage.finished(answer["id"], answer["read_token"])["status"] == "success"
        assert master(stage, "show proc;quit").count("worker ") >= 2, "a new one, and the one with WebSockets"
        assert kept.echo("still there?") == "one still there?"
    assert load.report.losses() == []
    kept.close()


@pytest.mark.long
@pytest.mark.alone
def test_an_edge_of_a_newer_image_takes_over_with_a_gap_of_its_start(stage: Stage, memory: Published) -> None:
    deploy(stage, memory, "one")
    newer = f"{stage.project}-edge:newer"
    docker("tag", "haproxy:3.0-alpine", newer)
    try:
        stage.reconfigure("[oidc]", f'[edge]\nimage = "{newer}"\n\n[oidc]')
        before = edge_of(stage)["Id"]
        with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
            ended = deploy(stage, memory, "two")
        lost = load.report.lost(NEW) + load.report.lost(KEPT)
        print(f"newer image: {lost} of {len(load.report.samples)} lost, gap {load.report.gap_ms:.0f} ms")
        assert edge_of(stage)["Id"] != before and edge_of(stage)["Config"]["Image"] == newer
        assert load.report.gap_ms < 20_000 and load.report.first('"two"') is not None
        assert "deployer-edge" in stage.cli("show", ended["id"]).stdout
        after = edge_of(stage)["Id"]
        with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
            deploy(stage, memory, "three")
        assert load.report.losses() == []
        assert edge_of(stage)["Id"] == after
    finally:
        docker("rm", "-f", edge_of(stage)["Id"])
        docker("rmi", newer)
