"""Something outside breaks. Every time: a clear reason, a final status, and what runs is left as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.core.images import Image
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine
DOCKER_KILLS_AFTER = 10.0
MOST_SILENCE = 60.0  # of a registry, seconds; the engine gives up after 25


def containers(stage: Stage) -> dict[str, str]:
    """Container → when it started."""
    return {container["Id"]: container["State"]["StartedAt"] for container in stage.containers()}


def elsewhere(release: Published, host: str) -> Published:
    """The same images under another registry's name, which the engine does not have."""
    moved = {
        service: Image(image.repository.replace("127.0.0.1", host, 1), image.digest[:-8] + "0" * 8)
        for service, image in release.images.items()
    }
    return dataclasses.replace(release, images=moved)


@pytest.mark.case("F06")
def test_an_image_that_the_registry_does_not_have(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    stage.deploy(release)
    before = containers(stage)
    ended = stage.deploy(elsewhere(release, "127.0.0.1"))
    assert ended["status"] == "failure" and "[image-not-found]" in ended["reason"]
    assert containers(stage) == before


@pytest.mark.case("F06")
def test_a_registry_that_is_down(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    stage.deploy(release)
    before = containers(stage)
    stage.reconfigure(f'images = ["{stage.namespace}/shop-*"]', 'images = ["127.0.0.1:9/*/shop-*"]')
    down = {
        s: Image(f"127.0.0.1:9/{stage.project}/shop-{s}", i.digest[:-8] + "0" * 8)
        for s, i in release.images.items()
    }
    ended = stage.deploy(dataclasses.replace(release, images=down))
    assert ended["status"] == "error" and "[registry-unavailable]" in ended["reason"], ended
    assert containers(stage) == before


@pytest.mark.case("F05")
def test_an_engine_that_is_down_is_said_and_the_receiver_lives(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    stage.deploy(release)
    before = containers(stage)
    stage.kill(signal.SIGTERM)
    stage.engine = f"unix://{stage.folder}/no-engine.sock"
    stage.serve()
    ended = stage.deploy(release)
    assert ended["status"] == "error" and "[engine-unavailable]" in ended["reason"], ended
    assert containers(stage) == before
    stage.kill(signal.SIGTERM)
    stage.engine = ""
    stage.serve()
    assert stage.deploy(release)["status"] == "success"


def test_an_edge_that_was_killed_comes_back_right(stage: Stage) -> None:
    stage.deploy(stage.publish("1.0.0"))
    docker("kill", f"{stage.project}-deployer-edge-1")
    docker("start", f"{stage.project}-deployer-edge-1")
    wait_for("the shop behind the edge", lambda: stage.serves() == "1.0.0", 20)
    release = stage.publish("2.0.0")
    docker("kill", f"{stage.project}-deployer-edge-1")
    assert stage.deploy(release)["status"] == "success"
    wait_for("the new release", lambda: stage.serves() == "2.0.0", 10)
    assert running_images(stage) == published_images(release)


def slow_start(stage: Stage, seconds: int) -> None:
    """Makes the backend of the next release listen only after a while."""
    server = stage.source.folder / "backend" / "server.js"
    wait = f"Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, {seconds * 1000});\n"
    stage.source.write("backend/server.js", wait + server.read_text(encoding="utf-8"))


def wait_for_event(stage: Stage, answer: dict[str, Any], kind: str) -> None:
    def is_told() -> bool:
        _, body = stage.get(f"/api/v1/deployments/{answer['id']}?after=0", answer["read_token"])
        return kind in [event["kind"] for event in body.get("events", ())]

    wait_for(f"the event {kind}", is_told, 60)


@pytest.mark.parametrize(
    ("takes", "must_hand_over"), [(2, False), pytest.param(14, True, marks=pytest.mark.long)]
)
@pytest.mark.case("F08")
def test_a_terminated_receiver_ends_the_deploy_in_time_or_hands_it_over(
    stage: Stage, takes: int, must_hand_over: bool
) -> None:
    """How much fits into the time that Docker leaves is the machine's; that both ways end well is ours."""
    stage.deploy(stage.publish("1.0.0"))
    slow_start(stage, takes)
    release = stage.publish("2.0.0")
    _, answer = stage.request(release)
    wait_for_event(stage, answer, "start")
    begun = time.monotonic()
    stage.kill(signal.SIGTERM)
    assert time.monotonic() - begun < DOCKER_KILLS_AFTER
    assert stage.server and stage.server.returncode == 0
    log = stage.log.read_text()
    assert '"message": "stopping"' in log and "Traceback" not in log
    handed_over = "is still running; the next start resumes it" in log
    assert handed_over or not must_hand_over
    stage.serve()
    ended = stage.finished(answer["id"], answer["read_token"])
    assert (ended["status"], ended["attempts"]) == ("success", 2 if handed_over else 1)
    assert running_images(stage) == published_images(release)
    assert stage.serves() == "2.0.0"


@pytest.mark.long
def test_an_edge_that_is_killed_between_gate_and_switch(stage: Stage) -> None:
    first = stage.publish("1.0.0")
    stage.deploy(first)
    slow_start(stage, 3)
    second = stage.publish("2.0.0")
    # With the old frontend, so that the gate that is waited for is the last one before the switch.
    release = dataclasses.replace(second, images={**second.images, "frontend": first.images["frontend"]})
    _, answer = stage.request(release)
    wait_for_event(stage, answer, "start")
    docker("kill", f"{stage.project}-deployer-edge-1")
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "error" and "[edge-unavailable]" in ended["reason"], ended
    assert f"{first.revision[:7]} serves as before" in ended["reason"]
    wait_for("the release before", lambda: stage.serves() == "1.0.0", 10)
    assert running_images(stage) == published_images(first)
    assert stage.deploy(release)["status"] == "success"
    wait_for("the new release", lambda: stage.serves() == "2.0.0", 10)


@pytest.mark.long
@pytest.mark.case("F06")
def test_a_registry_that_accepts_and_never_answers(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    stage.deploy(release)
    before = containers(stage)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        stage.reconfigure(f'images = ["{stage.namespace}/shop-*"]', f'images = ["{host}/*/shop-*"]')
        hanging = {
            service: Image(f"{host}/{stage.project}/shop-{service}", image.digest[:-8] + "0" * 8)
            for service, image in release.images.items()
        }
        status, answer = stage.request(dataclasses.replace(release, images=hanging))
        assert status == 202
        ended = stage.finished(answer["id"], answer["read_token"], deadline=MOST_SILENCE)
    assert ended["status"] == "error" and "[registry-unavailable]" in ended["reason"], ended
    assert containers(stage) == before
    assert stage.serves() == "1.0.0"


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """The state folder on a file system of its own that can be filled."""
    stage.kill(signal.SIGTERM)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "none", stage.state], check=True)
    stage.serve()
    yield stage.state
    stage.kill()
    subprocess.run(["umount", "--lazy", stage.state], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(os.urandom(4096))
    return ballast


@pytest.mark.case("F03")
def test_a_full_disk_refuses_what_it_cannot_keep_and_recovers(stage: Stage, small_disk: Path) -> None:
    release, newer = stage.publish("1.0.0"), stage.publish("2.0.0")
    assert stage.deploy(release)["status"] == "success"
    before = containers(stage)
    ballast = fill(small_disk)
    answers = [stage.request(newer) for _ in range(3)]
    assert {status for status, _ in answers} == {503}, answers
    assert answers[0][1]["error"] == "store-unavailable"
    assert containers(stage) == before
    ballast.unlink()
    assert stage.deploy(newer)["status"] == "success"
    assert running_images(stage) == published_images(newer)


@pytest.mark.case("F03")
def test_a_disk_that_fills_in_the_middle_of_a_deploy(stage: Stage, small_disk: Path) -> None:
    assert stage.deploy(stage.publish("1.0.0"))["status"] == "success"
    before = containers(stage)
    slow_start(stage, 4)
    _, answer = stage.request(stage.publish("2.0.0"))
    wait_for("the new replica's start", lambda: len(stage.containers()) == 5)
    ballast = fill(small_disk)
    wait_for("the end of the rollout", lambda: "waits to be recorded" in stage.log.read_text(), 60)
    assert stage.serves() == "1.0.0"
    ballast.unlink()
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "error" and "[store-unavailable]" in ended["reason"], ended
    assert containers(stage) == before
    assert stage.deploy(stage.publish("3.0.0"))["status"] == "success"
