"""Which of what the door hands over the worker may act on, by its own settings."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.images import Image
from deployer.core.model import DeployJob, Kind, Trigger
from deployer.core.queue.delegated_task import DelegatedTask, TaskKind, fit_jobs
from testing.receiver.receiver_inputs import DIGEST, REVISION, config_of


def job(**changes: Any) -> DeployJob:
    given: dict[str, Any] = {"app": "shop", "environment": "production", "revision": REVISION, **changes}
    return DeployJob(kind=Kind.DEPLOY, trigger=Trigger.WEBHOOK, actor="ada", **given)


@pytest.mark.parametrize(
    ("task", "settings", "fits"),
    [
        (TaskKind.PLAN, {"plans": True}, True),
        (TaskKind.PLAN, {"plans": False}, False),
        (TaskKind.HINT, {"packages": True}, True),
        (TaskKind.HINT, {"packages": False}, False),
        (TaskKind.HINT, {"packages": True, "require-environment-claim": True}, False),
        (TaskKind.HINT, {"packages": True, "workflow": ".github/workflows/deploy.yml"}, False),
    ],
)
def test_the_settings_say_what_is_done(task: TaskKind, settings: dict[str, Any], fits: bool) -> None:
    delegated = DelegatedTask("1", task, (job(),), 1.0)
    assert fit_jobs(delegated, config_of(**settings)) == (delegated.jobs if fits else ())


@pytest.mark.parametrize(
    "changes",
    [
        {"app": "bank"},
        {"environment": "moon"},
        {"revision": "main"},
        {"images": {"x": Image("evil.example/x", DIGEST)}},
    ],
)
def test_what_no_door_decides_is_left_out(changes: dict[str, Any]) -> None:
    delegated = DelegatedTask("1", TaskKind.PLAN, (job(**changes), job()), 1.0)
    assert fit_jobs(delegated, config_of(plans=True)) == (job(),)
