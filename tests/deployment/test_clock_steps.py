"""The machine's clock steps by an hour: nothing that counts seconds or says which is newer follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.core.model import DeployJob, Kind, Run, Status, Trigger
from tests.deployment.test_deploy import FastClock, Scene

HOUR = 3600.0


class SteppedClock(FastClock):
    """Its wall clock can be set, as `ntpd -g` or a person does."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0.0

    def now(self) -> float:
        return self.time + 1_800_000_000 + self.step


@pytest.mark.case("F04")
@pytest.mark.parametrize("step", [HOUR, -HOUR])
@pytest.mark.parametrize("moment", ["pull", "start", "route", "stop"])
def test_a_step_in_the_middle_of_a_deploy_ends_no_wait_early_or_late(
    tmp_path: Path, moment: str, step: float
) -> None:
    scene = Scene(tmp_path)
    clock = scene.clock = SteppedClock()
    scene.context = scene.context.__class__(**{**vars(scene.context), "clock": clock})
    scene.deploy("ab")
    act = getattr(scene.target, moment)

    def stepping(*arguments: object, **named: object) -> object:
        clock.step = step
        return act(*arguments, **named)

    setattr(scene.target, moment, stepping)
    ended = scene.deploy("cd")
    assert ended.status is Status.SUCCESS, ended.reason
    assert scene.marks() == "cd"
    assert scene.store.deployments.serving("shop", "production") == ended
    scene.store.close()


@pytest.mark.case("F04")
@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_which_run_is_newer_is_no_question_of_time(tmp_path: Path, step: float) -> None:
    scene = Scene(tmp_path)
    now = 1_800_000_000.0

    def arrive(number: int, at: float) -> str:
        job = DeployJob(
            "shop",
            "production",
            Kind.DEPLOY,
            Trigger.WEBHOOK,
            "ada",
            "a" * 40,
            Run(number, 1),
            workflow="deploy.yml",
        )
        return scene.store.queue.enqueue(job, at)[1]

    assert arrive(5, now) == "queued"
    assert arrive(6, now + step) == "queued"
    assert arrive(5, now + 2 * step) == "stale"
    claimed = scene.store.queue.claim(now + step)
    assert claimed and claimed[0].run == Run(6, 1)
    scene.store.queue.finish(claimed[0].id, Status.SUCCESS, "", now + step)
    serving = scene.store.deployments.serving("shop", "production")
    assert serving and serving.run == Run(6, 1)
    scene.store.close()
