"""Docker Compose by hand on the user's own file, beside the deployer: `up -d` finds nothing to do, `ps` and
`down` do what users expect.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress

import pytest

from testing.docker.delayed_socket import HeldSocket
from testing.docker.docker_cli import service_of, wait_for
from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import ECHO, REPLICAS, ask, of, request_of, ship, written

pytestmark = pytest.mark.engine

OWN = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        deploy: {{replicas: 2}}
        networks: {{default: {{aliases: [www]}}, back: {{}}}}
        secrets: [token]
        {{check}}
      api:
        build: backend
        depends_on: [web]
        links: ["web:site"]
        x-deployer: {{order: stop-first}}
        volumes: ["data:/data"]
      worker:
        build: backend
        command: ["sleep", "600"]
        init: true
        network_mode: "service:api"
    networks: {{back: {{}}}}
    volumes: {{data: {{}}}}
    secrets: {{token: {{environment: CORS_ORIGIN}}}}
"""


def compose(stage: Stage, *words: str) -> str:
    """Compose in the user's checkout, with the variables that the server has."""
    folder = stage.folder / "checkout"
    argv = ("compose", "-p", stage.project, "--env-file", str(stage.folder / "shop.env"))
    return docker(*argv, *words, cwd=folder)


def check_out(stage: Stage, text: str) -> None:
    (stage.folder / "checkout").mkdir(exist_ok=True)
    (stage.folder / "checkout" / "compose.yaml").write_text(text, encoding="utf-8")


def lives(stage: Stage) -> dict[str, str]:
    return {container["Id"]: container["State"]["StartedAt"] for container in stage.containers()}


def expect_nothing_to_do(stage: Stage) -> None:
    before = lives(stage)
    compose(stage, "up", "-d", "--no-build")
    assert lives(stage) == before
    saved = stage.state / "projects" / stage.project / "compose.yaml"
    docker("compose", "-p", stage.project, "-f", str(saved), "up", "-d")
    assert lives(stage) == before


def expect_nothing_left(stage: Stage) -> None:
    """The deployer takes the edge along, and the networks that Compose could not remove for it."""
    label = f"label=com.docker.compose.project={stage.project}"
    wait_for("no container", lambda: not docker("ps", "-aq", "--filter", label).strip(), 10)
    wait_for("no network", lambda: not docker("network", "ls", "-q", "--filter", label).strip(), 10)


@pytest.mark.long
def test_e7_up_on_the_users_own_file_changes_nothing_after_each_kind_of_deploy(stage: Stage) -> None:
    first, second = stage.publish("1.0.0"), stage.publish("2.0.0")
    folder = stage.source.folder
    check_out(stage, (folder / "compose.yaml").read_text())
    for release in (first, second):  # the first one, and a roll of images only
        assert stage.deploy(release)["status"] == "success"
        expect_nothing_to_do(stage)
    stage.source.write("backend/server.js", "process.exit(3);\n")
    assert stage.deploy(stage.publish("3.0.0"))["status"] == "failure"
    expect_nothing_to_do(stage)
    assert stage.cli("rollback", "shop").returncode == 0
    expect_nothing_to_do(stage)
    shown = compose(stage, "ps", "--format", "{{.Service}} {{.State}}").split("\n")
    assert sorted(filter(None, shown)) == ["backend running", "frontend running"]
    compose(stage, "down")
    expect_nothing_left(stage)
    assert stage.cli("redeploy", "shop").returncode == 0, "after `down` everything can be made again"
    assert stage.serves() == "1.0.0"


SLOW = ECHO.replace("server.listen(3001);", "setTimeout(() => server.listen(3001), 700);")


@pytest.mark.long
def test_e8_up_by_hand_in_the_middle_of_a_deploy_is_settled(stage: Stage) -> None:
    """Compose 2.26 takes the new one away and makes the old anew, as slowly as a container stops."""
    stage.source.write("backend/server.js", SLOW)
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    text = REPLICAS.format(mark="one", count=1)
    check_out(stage, written(stage, text))
    assert ship(stage, releases[0], text)["status"] == "success"
    serves, met = 0, 0
    for moment in (0.0, 0.3, 0.6, 0.9):  # seconds after the new one was made
        status, answer = request_of(stage, releases[1 - serves], text)
        assert status == 202
        wait_for("old and new side by side", lambda: len(of(stage, "web")) == 2)
        time.sleep(moment)
        with suppress(AssertionError):  # it may break off where its containers vanish
            compose(stage, "up", "-d", "--no-build")
        ended = stage.finished(answer["id"], answer["read_token"])
        if ended["status"] == "success":
            serves = 1 - serves
        else:
            assert "serves as before; somebody else" in ended["reason"], ended["reason"]
        expect_the_release_alone(stage, releases[serves])
        assert stage.cli("status").returncode == 0
        story = stage.cli("show", answer["id"]).stdout
        met += "settle" in story
        expect_nothing_to_do(stage)
    assert met, "nobody met anybody"
    assert ship(stage, releases[0], text)["status"] == "success"
    (name,) = (one["Name"] for one in of(stage, "web"))
    assert name in (f"/{stage.project}-web-1", f"/{stage.project}-web-2"), "e9: names alternate"


def expect_the_release_alone(stage: Stage, release: Published) -> None:
    """At the deployment's end, or soon after it where Compose made its first container only then: nothing of
    it was to be seen before.
    """
    images = [str(release.images["backend"])]

    def alone() -> bool:
        webs = [one for one in stage.containers() if service_of(one) == "web"]
        running = all(one["State"]["Status"] == "running" for one in webs)
        return running and [one["Config"]["Image"] for one in webs] == images and len(stage.containers()) == 2

    wait_for("the release and nothing else", alone, 40)
    wait_for("its answer", lambda: _answers(stage), 20)


def _answers(stage: Stage) -> bool:
    with suppress(OSError):
        return ask(stage)["env"] == "one"
    return False


@pytest.mark.long
def test_e8_up_by_hand_whose_first_container_comes_after_the_deploys_end_is_settled(stage: Stage) -> None:
    """Compose goes by what it saw before: it takes away what serves, and cannot start its own."""
    stage.source.write("backend/server.js", SLOW)
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    text = REPLICAS.format(mark="one", count=1)
    check_out(stage, written(stage, text))
    assert ship(stage, releases[0], text)["status"] == "success"
    with HeldSocket(stage.folder / "held.sock", r"POST \S+/containers/create") as slow:
        status, answer = request_of(stage, releases[1], text)
        assert status == 202
        wait_for("old and new side by side", lambda: len(of(stage, "web")) == 2)
        argv = ["docker", "compose", "-p", stage.project, "--env-file", str(stage.folder / "shop.env")]
        by_hand = subprocess.Popen(
            [*argv, "up", "-d", "--no-build"],
            cwd=stage.folder / "checkout",
            env=os.environ | slow.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert slow.held.wait(30), "Compose asked for no container"
        ended = stage.finished(answer["id"], answer["read_token"])
        slow.release.set()
        by_hand.wait(timeout=60)
    serves = releases[1] if ended["status"] == "success" else releases[0]
    expect_the_release_alone(stage, serves)
    story = stage.cli("show", answer["id"]).stdout
    assert "settle" in story or "after its deployment: settle" in stage.log.read_text(encoding="utf-8")
    expect_nothing_to_do(stage)


@pytest.mark.long
def test_e7_up_changes_nothing_for_replicas_stop_first_services_and_shared_networks(stage: Stage) -> None:
    stage.source.write("backend/server.js", ECHO)
    echo = stage.publish("1.0.0")
    try:
        for mark in ("one", "two"):
            deploy(stage, echo, mark)
            expect_nothing_to_do(stage)
        web = next(one["Name"].lstrip("/") for one in stage.containers() if service_of(one) == "web")
        token = docker("exec", web, "cat", "/run/secrets/token")
        assert token.strip() == next(
            line.partition("=")[2]
            for line in (stage.folder / "shop.env").read_text().splitlines()
            if line.startswith("CORS_ORIGIN=")
        )
        assert sorted(service_of(one) for one in stage.containers()) == [
            "api",
            "deployer-edge",
            "web",
            "web",
            "worker",
        ]
    finally:
        compose(stage, "down", "-v")
    expect_nothing_left(stage)


def deploy(stage: Stage, echo: Published, mark: str) -> None:
    text = OWN.format(mark=mark)
    ended = ship(stage, echo, text)
    assert ended["status"] == "success", ended["reason"]
    check_out(stage, written(stage, text))
