"""kill -9 of the receiver at random moments of a deploy. After a restart the deploy ends by itself and leaves
nothing over.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import Any

import pytest

from tests.scenarios.test_deploys import published_images, running_images
from tests.stand.stage import Published, Stage, docker, wait_for

pytestmark = pytest.mark.engine
HITS = 10
MOST_KILLS = 25


def test_a_killed_receiver_finishes_the_deploy_after_its_restart(stage: Stage) -> None:
    """Ten kills that hit: moments spread over the whole deploy, each drawn within its tenth."""
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    assert stage.deploy(releases[0])["status"] == "success"
    begun = time.monotonic()
    assert stage.deploy(releases[1])["status"] == "success"
    takes, draw, hits = time.monotonic() - begun, random.Random(20261123), 0
    for kill in range(MOST_KILLS):
        release = releases[kill % 2]
        hits += _deploy_and_kill(stage, release, takes * (kill % HITS + draw.random()) / HITS)
        assert running_images(stage) == published_images(release), kill
        assert sorted(c["State"]["Status"] for c in stage.containers()) == ["running"] * 3, kill
        wait_for("the right version", partial(_serves, stage, f"{kill % 2 + 1}.0.0"), 10)
        if hits == HITS:
            return
    pytest.fail(f"only {hits} of {MOST_KILLS} kills hit a running deploy")


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
    assert drifted.returncode == 1 and "a redeploy would mend it" in drifted.stdout
    assert stage.cli("redeploy", "shop").returncode == 0
    assert stage.serves() == "1.0.0"


def _addresses(stage: Stage) -> dict[str, str]:
    return {
        container["Name"]: next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"]
        for container in stage.containers()
    }
