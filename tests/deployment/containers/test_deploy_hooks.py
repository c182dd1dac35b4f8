"""Hooks on the way of a deploy: when they run, what their failure stops, and what they forbid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployer.core.model import Replica, Status
from deployer.worker.job_runner import JobRunner
from testing.compose_models import application
from tests.deployment.test_deploy import Scene

HOOKS = {"pre-deploy": "migrate", "post-deploy": "warm up", "on-rollback": "undo"}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    made.target.model["services"]["backend"]["x-deployer"] = dict(HOOKS)
    yield made
    made.store.close()


def hooks_called(scene: Scene) -> list[str]:
    return [call for call in scene.target.calls if call.startswith("hook")]


def sicken(scene: Scene, marks: str) -> None:
    model: dict[str, Any] = dict(scene.target.model)
    scene.target.sick = {service.spec for service in application(marks, model).services}


def test_pre_deploy_runs_before_anything_is_touched_and_post_deploy_when_it_serves(scene: Scene) -> None:
    assert scene.deploy("aa").status is Status.SUCCESS
    first = next(call for call in scene.target.calls if "pull" not in call and call != "fetch_edge")
    assert first == "hook backend pre-deploy"
    assert scene.target.calls[-1] == "hook backend post-deploy"
    scene.deploy("aa")
    assert hooks_called(scene) == [], "an unchanged release runs none"


def test_a_failing_pre_deploy_touches_nothing(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.failing = {"pre-deploy"}
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "[hook-failed]" in ended.reason
    assert "ended with code 3; it said: Error: no database" in ended.reason and "hunter22" not in ended.reason
    assert scene.marks() == "aa"
    assert set(scene.target.calls) == {"pull", "fetch_edge", "hook backend pre-deploy"}


def test_a_failing_post_deploy_takes_nothing_back(scene: Scene) -> None:
    scene.target.failing = {"post-deploy"}
    ended = scene.deploy("aa")
    assert ended.status is Status.SUCCESS and scene.marks() == "aa"
    assert any(line.startswith("untidy the release serves, post-deploy") for line in scene.story(ended))


def test_the_failed_release_undoes_its_changes_on_the_way_back(scene: Scene) -> None:
    scene.deploy("aa")
    sicken(scene, "ba")
    assert scene.deploy("ba").status is Status.FAILURE
    assert hooks_called(scene) == ["hook backend pre-deploy", "hook backend on-rollback"]
    assert scene.marks() == "aa"


def test_a_failing_on_rollback_does_not_stop_the_way_back(scene: Scene) -> None:
    scene.deploy("aa")
    sicken(scene, "ba")
    scene.target.failing = {"on-rollback"}
    ended = scene.deploy("ba")
    assert "serves as before" in ended.reason and scene.marks() == "aa"


def test_a_release_may_forbid_to_go_back_after_its_pre_deploy(scene: Scene) -> None:
    scene.deploy("aa")
    scene.target.model["services"]["backend"]["x-deployer"]["rollback"] = "never-after-pre-deploy"
    sicken(scene, "ba")
    ended = scene.deploy("ba")
    assert ended.status is Status.FAILURE and "forbids going back" in ended.reason
    assert scene.marks() == "aa", "start-first: what served goes on"
    assert hooks_called(scene) == ["hook backend pre-deploy"]


@pytest.mark.parametrize("rollback", ["automatic", "never-after-pre-deploy"])
def test_what_a_hook_forbids_stays_forbidden_when_the_deployer_dies_again_and_again(
    scene: Scene, rollback: str
) -> None:
    scene.deploy("aa")
    scene.target.model["services"]["backend"]["x-deployer"]["rollback"] = rollback
    start, jobs = scene.target.start, JobRunner(scene.context)

    def die(project: str, replicas: Sequence[Replica]) -> None:
        raise SystemExit

    scene.target.start = die  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        scene.deploy("ba")
    for _ in range(2):
        jobs.recover()
        with pytest.raises(SystemExit):
            jobs.run_once()
    jobs.recover()
    scene.target.start = start  # type: ignore[method-assign]
    scene.target.calls.clear()
    assert jobs.run_once() and scene.marks() == "aa"
    forward_only = rollback != "automatic"
    assert (scene.target.calls == []) == forward_only
    (ended,) = scene.store.deployments.history("shop", "production", 1)
    told = "forbids going back" if forward_only else "aaaaaaa serves as before"
    assert ended.status is Status.ERROR and any(told in line for line in scene.story(ended))
