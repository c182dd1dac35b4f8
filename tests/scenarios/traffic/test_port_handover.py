"""A fixed host port without the edge that goes from the old replica to the new one while both run."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing, suppress
from functools import partial

import pytest

from testing.docker.docker_cli import service_of
from testing.load.http_load import KEPT, NEW, Load
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_by_hand import check_out, expect_nothing_to_do, lives
from tests.scenarios.deploys.test_compose_shapes import ask, echo, of, request_of, ship, written

__all__ = ["echo"]
pytestmark = pytest.mark.engine
HELD = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        x-deployer: {{edge: off, order: {order}{more}}}
        ports: ["{{port}}:3001"]
        networks: {{default: {{}}, back: {{aliases: [www]}}}}
        {{check}}
      api:
        build: backend
        networks: [back]
    networks: {{back: {{}}}}
"""
FROM_INSIDE = (
    "fetch('http://www:3001').then(answer => answer.text()).then(text => console.log(text.trim()),"
    " error => console.log(String(error)))"
)


def held(mark: str, order: str = "start-first", more: str = "") -> str:
    return HELD.format(mark=mark, order=order, more=more)


def deploy(stage: Stage, echo: Published, mark: str, order: str = "start-first", more: str = "") -> None:
    ended = ship(stage, echo, held(mark, order, more))
    assert ended["status"] == "success", ended["reason"]


def networks(stage: Stage) -> list[str]:
    label = f"label=com.docker.compose.project={stage.project}"
    listed = docker("network", "ls", "--filter", label, "--format", "{{.Name}}").split()
    return sorted(name.removeprefix(f"{stage.project}_") for name in listed)


def inside(stage: Stage, mark: str) -> bool:
    """True if `mark` answers another container of the project."""
    (api,) = of(stage, "api")
    return f'"env":"{mark}"' in docker("exec", str(api["Id"]), "node", "-e", FROM_INSIDE)


def expect(stage: Stage, mark: str) -> None:
    """`mark` is what serves, alone, to the host and inside under the service's own and another name."""
    assert ask(stage)["env"] == mark
    assert inside(stage, mark)
    assert _marks(stage) == [mark]
    assert networks(stage) == ["back", "default"]
    expect_nothing_to_do(stage)


@pytest.mark.alone
def test_e6_a_fixed_host_port_without_the_edge_is_handed_over_where_the_file_says_start_first(
    stage: Stage, echo: Published
) -> None:
    def costs(order: str, *marks: str) -> tuple[float, int]:
        with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
            for mark in marks:
                deploy(stage, echo, mark, order)
        report = load.report
        assert all(report.first(f'"{mark}"') is not None for mark in marks)
        lost = report.lost(NEW) + report.lost(KEPT)
        print(f"{order}: gap {report.gap_ms:.0f} ms, {lost} lost")
        return report.gap_ms, lost

    check_out(stage, written(stage, held("one", "stop-first")))
    deploy(stage, echo, "one", "stop-first")
    stopped = costs("stop-first", "two")
    handed = costs("start-first", "three")
    assert handed[0] < stopped[0] and handed[1] < stopped[1], (handed, stopped)
    check_out(stage, written(stage, held("three")))
    expect(stage, "three")
    silent = held("four").replace("build: backend", 'build: backend\n        command: ["sleep", "9"]', 1)
    before = lives(stage)
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        assert ship(stage, echo, silent)["status"] == "failure"
    assert load.report.losses() == [] and lives(stage) == before
    expect(stage, "three")


@pytest.mark.long
def test_what_gave_its_ports_away_gets_them_back_where_the_gap_is_more_than_the_file_allows(
    stage: Stage, echo: Published
) -> None:
    check_out(stage, written(stage, held("one", "stop-first")))
    deploy(stage, echo, "one", "stop-first")  # made without a thought of giving anything away
    (served,) = of(stage, "web")
    ended = ship(stage, echo, held("two", more=", max-gap: 20ms"))
    assert ended["status"] == "failure" and "[budget-exceeded]" in str(ended["reason"]), ended["reason"]
    assert "serves as before" in str(ended["reason"])
    expect(stage, "one")
    (web,) = of(stage, "web")
    assert web["Id"] == served["Id"]
    assert stage.cli("status").returncode == 0


def _grab(port: int, seconds: float, taken: threading.Event) -> None:
    """Takes the port in the moment in which nobody has it."""
    end = time.monotonic() + 30
    while time.monotonic() < end and not taken.is_set():
        with closing(socket.socket()) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                other.bind(("0.0.0.0", port))
                other.listen()
                taken.set()
                time.sleep(seconds)  # how long somebody else has it is the point of the test
        time.sleep(0.0005)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.8, 3.0, 20.0])
def test_a_port_that_somebody_else_grabs_in_between_is_had_again_when_it_is_free(
    stage: Stage, echo: Published, seconds: float
) -> None:
    check_out(stage, written(stage, held("one")))
    deploy(stage, echo, "one")
    taken = threading.Event()
    thread = threading.Thread(target=_grab, args=(stage.api_port, seconds, taken))
    thread.start()
    ended = ship(stage, echo, held("two"))
    thread.join(timeout=60)
    assert taken.is_set() and ended["status"] != "success", ended["reason"]
    if seconds < 10:
        wait_for("the old one again", lambda: answers(stage, "one"), 20)
        assert "serves as before" in str(ended["reason"]), ended["reason"]
    elif not answers(stage, "one"):
        assert stage.cli("status").returncode == 1, "nobody is told that all is well"
        assert stage.cli("redeploy", "shop").returncode == 0
    # A container that is restarted to get its port back starts up while its port is open already.
    wait_for(
        "the old one, from outside and inside", lambda: answers(stage, "one") and inside(stage, "one"), 20
    )
    expect(stage, "one")
    assert stage.cli("status").returncode == 0
    deploy_again = ship(stage, echo, held("three"))
    assert deploy_again["status"] == "success", deploy_again["reason"]


def answers(stage: Stage, mark: str) -> bool:
    try:
        return ask(stage)["env"] == mark
    except OSError:
        return False


FICKLE = "import('/app/server.js'); setTimeout(() => process.exit(7), 1500)"
LATE = "setTimeout(() => import('/app/server.js'), 4000)"


@pytest.mark.long
def test_one_that_was_ready_and_died_while_others_started_takes_nothing_over(
    stage: Stage, echo: Published
) -> None:
    check_out(stage, written(stage, held("one")))
    deploy(stage, echo, "one")
    before = lives(stage)
    fickle = held("two").replace(
        "build: backend", f"build: backend\n        command: {json.dumps(['node', '-e', FICKLE])}", 1
    )
    late = f"build: backend\n        command: {json.dumps(['node', '-e', LATE])}\n        {{check}}"
    head, _, tail = fickle.partition("      api:")
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        ended = ship(stage, echo, head + "      api:" + tail.replace("build: backend", late, 1))
    assert ended["status"] == "failure", ended["reason"]
    assert "takes nothing over [container-refused]" in str(ended["reason"]), ended["reason"]
    assert load.report.losses() == []
    (web,) = of(stage, "web")
    assert str(web["Id"]) in before
    expect(stage, "one")


@pytest.mark.long
def test_one_with_two_replicas_is_refused(stage: Stage, echo: Published) -> None:
    deploy(stage, echo, "one")
    double = held("two").replace("networks: {default", "deploy: {replicas: 2}\n        networks: {default")
    refused = ship(stage, echo, double)
    assert refused["status"] == "failure" and "[compose-rejected]" in str(refused["reason"]), refused
    told = f"service web: start-first without the edge: host port {stage.api_port} can go from one replica to"
    assert told in str(refused["reason"])
    assert ask(stage)["env"] == "one"


@pytest.mark.long
def test_whenever_the_deployer_is_killed_the_port_ends_with_one_of_both(
    stage: Stage, echo: Published
) -> None:
    check_out(stage, written(stage, held("0")))
    deploy(stage, echo, "0")
    hit = 0
    for round in range(1, 13):
        mark = str(round)
        check_out(stage, written(stage, held(mark)))
        status, answer = request_of(stage, echo, held(mark))
        assert status == 202
        wait_for("the new one", partial(_there, stage, mark))
        time.sleep(0.06 * round)  # the moment is the point of the test
        stage.kill()
        stage.serve()
        ended = stage.finished(answer["id"], answer["read_token"], deadline=60)
        assert ended["status"] == "success", f"round {round}: {ended['reason']}"
        hit += int(ended["attempts"]) > 1
        wait_for("the old one's end", lambda: len(of(stage, "web")) == 1)
        expect(stage, mark)
    assert hit >= 6, f"only {hit} of 12 kills hit the deploy"


def _there(stage: Stage, mark: str) -> bool:
    return mark in _marks(stage)


def _marks(stage: Stage) -> list[str]:
    webs = [one["Config"]["Env"] for one in stage.containers() if service_of(one) == "web"]
    return [word.partition("=")[2] for env in webs for word in env if word.startswith("MARK=")]
