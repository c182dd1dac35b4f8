"""What the door hands to the worker where it is another process: images to look up, a plan to make. In:
wishes as the door decided them, the worker's settings. Out: those that the worker may act on.

The process that the internet reaches has no engine and no Compose. Who took it over may leave anything in the
store, so the settings are asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.core.auth.job_authorization import judge_job
from deployer.core.config.settings import Config
from deployer.core.errors import DeployerError
from deployer.core.model import Wish

MOST = 200  # hints that may wait; more come from a registry that is flooded, or from nobody that is known
MOST_PLANS = 8  # that may wait, each with a bundle of megabytes; a door waits for two at once
TRIES = 10  # of a hint whose registry or GitHub does not answer
PAUSE = 30.0  # seconds between them
PATIENCE = 45.0  # seconds that a plan is waited for, and made for nobody afterwards


class Task(StrEnum):
    """What is to be done."""

    HINT = "hint"  # look whether an announced image completes a release, and deploy it
    PLAN = "plan"  # say what a wish would change


@dataclass(frozen=True)
class Errand:
    """One thing to do, for all of its wishes together."""

    id: str
    task: Task
    wishes: tuple[Wish, ...]
    at: float  # when it came, seconds
    tries: int = 0


def fit_wishes(errand: Errand, config: Config) -> tuple[Wish, ...]:
    """Those that the settings let happen."""
    return tuple(wish for wish in errand.wishes if _fits(errand.task, wish, config))


def _fits(task: Task, wish: Wish, config: Config) -> bool:
    try:
        app = config.app(wish.app)
        environment = app.environment(wish.environment)
        judge_job(wish, app)
    except DeployerError:
        return False
    if task is Task.PLAN:
        return environment.plans
    return environment.packages and not environment.protected and not environment.workflow
