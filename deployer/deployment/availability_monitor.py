"""Measuring what users notice of one deployment. In: the application that comes, the target that watches its
doors. Out: figures in the record and the story; BudgetExceeded where they allow no more.

Knocks from before anything is touched to the end, also while a rollout is taken back. A watch that breaks
costs figures, never a deployment.
"""

from __future__ import annotations

import math
from dataclasses import replace

from deployer.core.compose.endpoints import Door
from deployer.core.model import Measured
from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.target import Target, Watch
from deployer.core.rollout.availability import (
    Marks,
    Seen,
    awaits_answer,
    judge_budget,
    measure,
    most_important,
    summary,
    worst,
)

_LOOK = 0.4  # seconds after a switch until it is judged; only where there is a budget
_AGAIN = 0.05
_PATIENCE = 2.5  # seconds until whatever hangs has been counted as lost


class Measuring:
    """One deployment's measurement; idle until `start`."""

    def __init__(self, target: Target, clock: Clock, say: Say) -> None:
        self._target = target
        self._clock = clock
        self._say = say
        self._marks = Marks()
        self._watch: Watch | None = None
        self._budgeted = False

    def start(self, doors: tuple[Door, ...]) -> None:
        if doors and self._watch is None:
            asked = most_important(doors)
            self._watch = self._target.watch(asked)
            self._budgeted = any(door.budget.given for door in asked)
            if left := len(doors) - len(asked):
                self._say(
                    "measured", f"{left} of {len(doors)} published ports are not asked: {len(asked)} are"
                )

    def touch(self) -> None:
        """From now on whatever fails is the deployment's doing."""
        self._marks = replace(self._marks, touched=min(self._marks.touched, self._clock.monotonic()))

    def drained(self) -> None:
        self._marks = replace(self._marks, drained=self._clock.monotonic())

    def judge(self, wait: float = _LOOK) -> None:
        """Raises BudgetExceeded; without a budget it takes no time."""
        if not (self._watch and self._budgeted):
            return
        begun = self._clock.monotonic()
        self._clock.sleep(wait)
        while wait and awaits_answer(self._seen(), begun) and self._clock.monotonic() < begun + _PATIENCE:
            judge_budget(self._seen(), self._marks, self._clock.monotonic())
            self._clock.sleep(_AGAIN)
        judge_budget(self._seen(), self._marks, self._clock.monotonic())

    def stop(self) -> Measured | None:
        """The figures of the service that fared worst; None where nothing ever answered, or
        nothing was touched.
        """
        if self._watch is None:
            return None
        self._watch.stop()
        if self._marks.touched == math.inf:
            return None
        figures = measure(self._seen(), self._marks, self._clock.monotonic())
        for name, found in sorted(figures.items()):
            self._say("measured", f"{name}: {summary(found)}")
        return worst(figures)

    def _seen(self) -> Seen:
        return self._watch.samples() if self._watch else {}
