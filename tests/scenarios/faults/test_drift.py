"""What runs is not what was deployed: the status says so, and a redeploy mends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.docker.docker_cli import wait_for
from testing.load.http_load import Load
from testing.stage import Stage, docker
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine


def _stopped(stage: Stage) -> None:
    docker("stop", _backend(stage))


def _another_image(stage: Stage) -> None:
    """By hand, from the user's own file with another image in it."""
    model = json.loads(
        (stage.state / "projects" / stage.project / "compose.yaml").read_text(encoding="utf-8")
    )
    model["services"]["backend"].pop("ports")  # the edge has them
    model["services"]["backend"]["image"] = str(stage.publish("9.9.9").images["backend"])
    _up(stage, json.dumps(model))


def _one_more(stage: Stage) -> None:
    details = json.loads(docker("inspect", _backend(stage)))[0]
    labels = {**details["Config"]["Labels"], "com.docker.compose.container-number": "9"}
    named = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    docker("run", "--detach", "--name", f"{stage.project}-backend-9", *named, details["Image"])


def _removed(stage: Stage) -> None:
    docker("rm", "--force", _backend(stage))


def _up(stage: Stage, text: str) -> None:
    file = Path(stage.folder / "by-hand.yaml")
    file.write_text(text, encoding="utf-8")
    docker("compose", "-p", stage.project, "-f", str(file), "up", "-d", "--no-build", "--no-deps", "backend")


def _backend(stage: Stage) -> str:
    return next(str(one["Name"]).lstrip("/") for one in stage.containers() if "-backend-" in one["Name"])


@pytest.mark.long
def test_every_kind_of_drift_is_told_and_mended(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    assert stage.deploy(release)["status"] == "success"
    clean = stage.cli("status")
    assert clean.returncode == 0 and "drift   none" in clean.stdout
    drifts: list[Callable[[Stage], None]] = [_stopped, _another_image, _one_more, _removed]
    for drift in drifts:
        drift(stage)
        told = stage.cli("status")
        assert told.returncode == 1 and "a redeploy would repair it" in told.stdout, drift.__name__
        mended = stage.cli("redeploy", "shop")
        assert mended.returncode == 0, f"{drift.__name__}: {mended.stdout}"
        assert stage.cli("status").returncode == 0, drift.__name__
        assert running_images(stage) == published_images(release), drift.__name__
        assert stage.serves() == "1.0.0" and len(stage.containers()) == 3, drift.__name__


@pytest.mark.long
def test_requests_to_a_vanished_replica_do_not_keep_the_next_one_out(stage: Stage) -> None:
    """Nobody hangs up for a container that is gone: what waited for it filled the edge's places."""
    assert stage.deploy(stage.publish("1.0.0"))["status"] == "success"
    with Load(f"{stage.web}/api/version", new=20, kept=0) as load:
        for drift in (_another_image, _removed, _stopped):
            drift(stage)
            redeployed = stage.cli("redeploy", "shop")
            assert redeployed.returncode == 0, f"{drift.__name__}: {redeployed.stdout}"
        mended = time.time()
        wait_for("a second of load", lambda: time.time() > mended + 1, 5)
    assert stage.serves() == "1.0.0"
    late = [sample.good for sample in load.report.samples if load.began + sample.at > mended]
    assert len(late) > 5 and all(late), load.report.losses()
