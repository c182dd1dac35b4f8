"""A deploy that waits for a word from outside once the new release serves: what users get meanwhile and
afterwards, also when the receiver is killed while it waits.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from testing.stage import Stage, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine


def test_the_release_before_stands_by_until_the_word_comes(stage: Stage) -> None:
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    first = stage.deploy(releases[0])
    assert first["status"] == "success", first["reason"]
    _, made = stage.request(releases[1], confirm=60)
    _until_it_waits(stage, made)
    assert stage.serves() == "2.0.0"
    assert len(stage.containers()) == 5
    ended = _say(stage, made, "failed", "the checkout is broken")
    assert ended["status"] == "failure"
    assert "not confirmed: the checkout is broken [confirmation-failed]" in ended["reason"]
    assert stage.serves() == "1.0.0"
    assert running_images(stage) == published_images(releases[0])
    _, made = stage.request(releases[1], confirm=60)
    _until_it_waits(stage, made)
    ended = _say(stage, made, "confirmed", "")
    assert (ended["status"], ended["previous"]) == ("success", releases[0].revision)
    assert stage.serves() == "2.0.0"
    assert running_images(stage) == published_images(releases[1])


@pytest.mark.long
def test_a_receiver_that_is_killed_while_it_waits_settles_the_deployment(stage: Stage) -> None:
    """Once with the word said after the restart, once with nobody to say it."""
    releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
    first = stage.deploy(releases[0])
    assert first["status"] == "success", first["reason"]
    _, made = stage.request(releases[1], confirm=60)
    _until_it_waits(stage, made)
    stage.kill()
    assert stage.serves() == "2.0.0"
    stage.serve()
    ended = _say(stage, made, "confirmed", "")
    assert ended["status"] == "success" and stage.serves() == "2.0.0"
    assert len(stage.containers()) == 3
    begun = time.monotonic()
    _, made = stage.request(releases[0], confirm=4)
    _until_it_waits(stage, made)
    stage.kill()
    stage.serve()
    ended = stage.finished(made["id"], made["read_token"])
    assert ended["status"] == "failure" and "was not confirmed in time" in ended["reason"]
    assert time.monotonic() - begun < 20, "the wait began anew"
    assert stage.serves() == "2.0.0"
    assert running_images(stage) == published_images(releases[1])


def _until_it_waits(stage: Stage, made: dict[str, Any]) -> None:
    def waits() -> bool:
        _, body = stage.get(f"/api/v1/deployments/{made['id']}?after=0", made["read_token"])
        return any(event["kind"] == "confirm" for event in body.get("events", ()))

    wait_for("the wait for a confirmation", waits)


def _say(stage: Stage, made: dict[str, Any], verdict: str, reason: str) -> dict[str, Any]:
    path, token = f"/api/v1/deployments/{made['id']}/confirmation", made["read_token"]
    status, answer = stage.post(path, token, {"verdict": verdict, "reason": reason})
    assert status == 200, answer
    return stage.finished(made["id"], token)
