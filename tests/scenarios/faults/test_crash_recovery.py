"""kill -9 of the receiver at random moments of a deploy. After a restart the deploy ends by itself and leaves
nothing over.

The moments are drawn anew in each run; DEPLOYER_TEST_SEED repeats those of a run that failed.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from dataclasses import fields
from functools import partial
from typing import Any

import pytest

from testing.inventory import Inventory, take_inventory
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine
KILLS_FOR_A_HIT = 2.5  # most


@pytest.mark.case("F07")
@pytest.mark.parametrize("hits", [10, pytest.param(50, marks=pytest.mark.long)])
def test_a_killed_receiver_finishes_the_deploy_after_its_restart(stage: Stage, hits: int) -> None:
    """Kills that hit: moments spread over the whole deploy, each drawn within its part."""
    draw = random.Random(seed())
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    assert stage.deploy(releases[0])["status"] == "success"
    begun = time.monotonic()
    assert stage.deploy(releases[1])["status"] == "success"
    takes, hit = time.monotonic() - begun, 0
    before = take_inventory(stage)
    assert before.containers == {f"{name} running": 1 for name in ("backend", "deployer-edge", "frontend")}
    assert (before.astray, before.processes) == ((), ())
    for kill in range(int(hits * KILLS_FOR_A_HIT)):
        release = releases[kill % 2]
        hit += _deploy_and_kill(stage, release, takes * (kill % hits + draw.random()) / hits)
        assert running_images(stage) == published_images(release), kill
        _expect_inventory(stage, before)
        wait_for("the right version", partial(_serves, stage, f"{kill % 2 + 1}.0.0"), 10)
        if hit == hits:
            print(f"{kill + 1} kills, {hit} hit a running deploy, all ended right with nothing left over")
            return
    pytest.fail(f"only {hit} kills hit a running deploy")


def test_the_inventory_sees_whatever_is_left_over(stage: Stage) -> None:
    assert stage.deploy(stage.publish("1.0.0"))["status"] == "success"
    before = take_inventory(stage)
    label = ("--label", f"com.docker.compose.project={stage.project}")
    # One that no deployment made would be replaced by the worker within a minute after the deployment.
    service = ("--label", "com.docker.compose.service=backend", "--label", "deployer.spec=stray")
    leftovers = docker("create", *label, *service, _edge_image(stage))
    docker("network", "create", *label, f"{stage.project}-stray")
    docker("volume", "create", *label, f"{stage.project}-stray")
    (stage.temporary / "deployer-stray").write_text("", encoding="utf-8")
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, "TMPDIR": str(stage.temporary)})
    try:
        after = take_inventory(stage)
    finally:
        child.kill()
        child.wait()
        docker("rm", leftovers.strip())
        docker("volume", "rm", f"{stage.project}-stray")
    same = [
        field.name for field in fields(Inventory) if getattr(after, field.name) == getattr(before, field.name)
    ]
    assert same == []


def _edge_image(stage: Stage) -> str:
    return next(str(one["Image"]) for one in stage.containers() if "deployer-edge" in one["Name"])


def seed() -> int:
    """The one that is given, else a new one; pytest shows what is printed where a test fails."""
    chosen = int(os.environ.get("DEPLOYER_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"DEPLOYER_TEST_SEED={chosen}")
    return chosen


def _expect_inventory(stage: Stage, before: Inventory) -> None:
    """At once but for processes, which may take a moment to end."""
    wait_for("the end of the receiver's children", lambda: not take_inventory(stage).processes, 10)
    assert take_inventory(stage) == before


def _deploy_and_kill(stage: Stage, release: Published, after: float) -> bool:
    """Whether the kill, `after` seconds, hit the deploy; it must end well in either case."""
    status, answer = stage.request(release)
    assert status == 202, answer
    time.sleep(after)  # the moment is the point of the test
    stage.kill()
    stage.serve()
    ended = stage.finished(answer["id"], answer["read_token"], deadline=60)
    assert ended["status"] == "success", ended
    return int(ended["attempts"]) > 1


@pytest.mark.case("F07")
def test_a_deployment_that_takes_the_deployer_down_each_time_is_given_up(stage: Stage) -> None:
    good = stage.publish("1.0.0")
    assert stage.deploy(good)["status"] == "success"
    stage.source.write("backend/server.js", "setTimeout(() => {}, 1e9); // never listens\n")
    status, answer = stage.request(stage.publish("2.0.0"))
    assert status == 202
    for attempt in range(1, 4):
        wait_for("the next attempt", partial(_came_to, stage, answer, attempt))
        stage.kill()
        stage.serve()
    ended = stage.finished(answer["id"], answer["read_token"], deadline=60)
    assert ended["status"] == "error" and "interrupted" in ended["reason"]
    wait_for("nothing left over", lambda: len(stage.containers()) == 3, 30)
    assert stage.serves() == "1.0.0"
    assert running_images(stage) == published_images(good)


def _serves(stage: Stage, version: str) -> bool:
    return stage.serves() == version


def _came_to(stage: Stage, answer: dict[str, Any], attempt: int) -> bool:
    """Whether the deployment came as far as its plan for the `attempt`th time."""
    _, body = stage.get(f"/api/v1/deployments/{answer['id']}?after=0", answer["read_token"])
    return [event["kind"] for event in body.get("events", ())].count("plan") == attempt


def test_the_edge_follows_replicas_that_come_back_under_each_others_address(stage: Stage) -> None:
    """What a reboot does: the containers start in another order and swap addresses."""
    assert stage.deploy(stage.publish("1.0.0"))["status"] == "success"
    before = _addresses(stage)
    names = [f"{stage.project}-{service}-1" for service in ("backend", "frontend")]
    docker("stop", *names)
    docker("start", names[1], names[0])
    if _addresses(stage) == before:  # the engine gave them back as they were: take the addresses by force
        pytest.fail("the engine did not swap the addresses")
    wait_for("the shop behind the edge", lambda: stage.serves() == "1.0.0", 30)


def test_what_somebody_stopped_stays_stopped(stage: Stage) -> None:
    assert stage.deploy(stage.publish("1.0.0"))["status"] == "success"
    docker("stop", f"{stage.project}-backend-1")
    wait_for("the drift", lambda: "replica is exited" in stage.cli("status").stdout, 20)
    drifted = stage.cli("status")
    assert drifted.returncode == 1 and "a redeploy would repair it" in drifted.stdout
    assert stage.cli("redeploy", "shop").returncode == 0
    assert stage.serves() == "1.0.0"


def _addresses(stage: Stage) -> dict[str, str]:
    return {
        container["Name"]: next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"]
        for container in stage.containers()
    }
