"""Tasks that the receiver delegates to the worker when that is another process: images to resolve, a plan to
make. In: deploy jobs as the receiver decided them, the worker's settings. Out: the jobs that the worker may
act on.

The process that the internet reaches has no engine and no Compose. After a break-in it could leave anything
in the store, so the settings are checked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.core.auth.job_authorization import judge_job
from deployer.core.config.settings import Config
from deployer.core.errors import DeployerError
from deployer.core.model import DeployJob

MOST = 200  # queued image announcements; more come from a flooded registry or an unknown sender
MOST_PLANS = 8  # queued, each with a bundle of megabytes; a receiver waits for two at once
TRIES = 10  # for an image announcement while its registry or GitHub does not answer
PAUSE = 30.0  # seconds between tries
PATIENCE = 45.0  # seconds that a client waits for a plan; later it is not made


class TaskKind(StrEnum):
    """Kind of a delegated task."""

    HINT = "hint"  # check if an announced image completes a release, and deploy it
    PLAN = "plan"  # plan the changes of a deploy job


@dataclass(frozen=True)
class DelegatedTask:
    """Delegated task, for all of its deploy jobs together."""

    id: str
    task: TaskKind
    jobs: tuple[DeployJob, ...]
    at: float  # Unix seconds of its arrival
    tries: int = 0


def fit_jobs(delegated: DelegatedTask, config: Config) -> tuple[DeployJob, ...]:
    """Returns the deploy jobs that the settings permit."""
    return tuple(job for job in delegated.jobs if _fits(delegated.task, job, config))


def _fits(task: TaskKind, job: DeployJob, config: Config) -> bool:
    try:
        app = config.app(job.app)
        environment = app.environment(job.environment)
        judge_job(job, app)
    except DeployerError:
        return False
    if task is TaskKind.PLAN:
        return environment.plans
    return environment.packages and not environment.protected and not environment.workflow
