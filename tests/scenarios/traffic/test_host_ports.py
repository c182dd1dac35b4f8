"""One port number at several addresses, by two protocols and in ranges, on a real engine."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress

import pytest

from testing.docker.docker_cli import wait_for
from testing.stage import Published, Stage
from tests.scenarios.deploys.test_compose_shapes import ECHO, of, ship

pytestmark = pytest.mark.engine

TWO = """
    services:
      web:
        build: backend
        container_name: {project}-a
        environment: {{MARK: one}}
        ports: [{first}]
      api:
        build: backend
        container_name: {project}-b
        environment: {{MARK: {mark}}}
        {command}
        ports: [{second}]
"""


def text(stage: Stage, first: str, second: str, mark: str = "one", command: str = "") -> str:
    ports = {"first": f'"{first}"', "second": f'"{second}"'}
    return TWO.format(project=stage.project, mark=mark, command=command, **ports).replace(
        "PORT", str(stage.api_port)
    )


@pytest.fixture
def echo(stage: Stage) -> Published:
    stage.source.write("backend/server.js", ECHO)
    return stage.publish("1.0.0")


def life(stage: Stage, service: str) -> tuple[object, object]:
    (one,) = of(stage, service)
    state = one["State"]
    assert isinstance(state, dict)
    return one["Id"], state["StartedAt"]


def mark_at(stage: Stage, address: str) -> str:
    """Without a health check a container counts as ready before its server listens."""
    found: list[str] = []

    def answers() -> bool:
        url = f"http://{address}:{stage.api_port}/"
        with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            found.append(str(json.loads(answer.read())["env"]))
        return bool(found)

    wait_for(f"an answer at {address}", answers, 20)
    return found[0]


@pytest.mark.case("H01")
def test_one_port_number_at_two_addresses_is_two_ports(stage: Stage, echo: Published) -> None:
    ports = "127.0.0.1:PORT:3001", "127.0.0.2:PORT:3001"
    assert ship(stage, echo, text(stage, *ports))["status"] == "success"
    kept = life(stage, "web")
    changed = ship(stage, echo, text(stage, *ports, mark="two"))
    assert changed["status"] == "success", changed["reason"]
    assert life(stage, "web") == kept, "a service that did not change is not touched"
    assert (mark_at(stage, "127.0.0.1"), mark_at(stage, "127.0.0.2")) == ("one", "two")
    bad = ship(
        stage, echo, text(stage, *ports, mark="bad", command='command: ["node", "-e", "process.exit(3)"]')
    )
    assert bad["status"] == "failure" and "somebody else" not in str(bad["reason"])
    assert (mark_at(stage, "127.0.0.1"), mark_at(stage, "127.0.0.2")) == ("one", "two")
    assert stage.cli("rollback", "shop").returncode == 0
    assert (mark_at(stage, "127.0.0.1"), mark_at(stage, "127.0.0.2")) == ("one", "one")
    assert life(stage, "web") == kept
    assert stage.cli("status").returncode == 0


@pytest.mark.long
@pytest.mark.case("H01")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1:PORT:3001", "127.0.0.1:PORT:3001/udp"),
        ("127.0.0.1:PORT:3001", "[::1]:PORT:3001"),
        ("0.0.0.0:PORT:3001", "[::]:PORT:3001"),
        ("3001", "127.0.0.1:PORT:3001"),
    ],
)
def test_ports_that_do_not_meet_leave_the_other_service_alone(
    stage: Stage, echo: Published, first: str, second: str
) -> None:
    assert ship(stage, echo, text(stage, first, second))["status"] == "success"
    kept = life(stage, "web")
    changed = ship(stage, echo, text(stage, first, second, mark="two"))
    assert changed["status"] == "success", changed["reason"]
    assert life(stage, "web") == kept


@pytest.mark.long
@pytest.mark.case("H01")
def test_two_services_swap_their_host_ports(stage: Stage, echo: Published) -> None:
    ports = "127.0.0.1:PORT:3001", "127.0.0.2:PORT:3001"
    begun = ship(stage, echo, text(stage, *ports, mark="two"))
    assert begun["status"] == "success", begun["reason"]
    swapped = ship(stage, echo, text(stage, ports[1], ports[0], mark="two"))
    assert swapped["status"] == "success", swapped["reason"]
    assert (mark_at(stage, "127.0.0.1"), mark_at(stage, "127.0.0.2")) == ("two", "one")


@pytest.mark.case("H01")
@pytest.mark.case("X10")
def test_what_cannot_be_published_is_refused_before_anything_is_touched(
    stage: Stage, echo: Published
) -> None:
    twice = ship(stage, echo, text(stage, "PORT:3001", "127.0.0.1:PORT:3001"))
    assert twice["status"] == "failure" and "both publish" in str(twice["reason"]), twice["reason"]
    own = ship(stage, echo, text(stage, "3001", f"127.0.0.1:{stage.port}-{stage.port + 1}:3001"))
    assert own["status"] == "failure", own["reason"]
    assert "the deployer itself (server.listen) holds [port-taken]" in str(own["reason"])
    assert not stage.containers()
