"""Availability measurement of one deployment. In: published endpoints, a prober. Out:
figures in the deployment's record and events; BudgetExceeded when a downtime budget is used up. Never fails a
deployment because a probe broke.

Probes run from before the first change to the end, also during a rollback.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from deployer.core.compose.endpoints import Endpoint
from deployer.core.model import Availability, EventKind
from deployer.core.ports.availability_prober import AvailabilityProber, Watch
from deployer.core.ports.clock import Clock
from deployer.core.ports.journal import Journal
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

_LOOK = 0.4  # seconds between a switch and its judgement; only with a budget
_AGAIN = 0.05
_PATIENCE = 2.5  # seconds until a hanging request counts as lost


class AvailabilityMonitor:
    """Measures the availability of one deployment's endpoints; idle until `start`."""

    def __init__(self, prober: AvailabilityProber, clock: Clock, journal: Journal) -> None:
        self._prober = prober
        self._clock = clock
        self._journal = journal
        self._marks = Marks()
        self._watch: Watch | None = None
        self._budgeted = False

    def start(self, endpoints: Sequence[Endpoint]) -> None:
        if endpoints and self._watch is None:
            asked = most_important(tuple(endpoints))
            self._watch = self._prober.watch(asked)
            self._budgeted = any(endpoint.budget.given for endpoint in asked)
            if left := len(endpoints) - len(asked):
                told = f"{left} of {len(endpoints)} published ports are not probed, {len(asked)} are"
                self._journal.record(EventKind.MEASURED, told)

    def touch(self) -> None:
        """Marks the first change: from now on the deployment is held responsible for failed requests."""
        self._marks = replace(self._marks, touched=min(self._marks.touched, self._clock.monotonic()))

    def drained(self) -> None:
        self._marks = replace(self._marks, drained=self._clock.monotonic())

    def judge(self, wait: float = _LOOK) -> None:
        """Raises BudgetExceeded if a downtime budget is used up; returns at once when no endpoint has a
        budget.
        """
        if not (self._watch and self._budgeted):
            return
        begun = self._clock.monotonic()
        self._clock.sleep(wait)
        while wait and awaits_answer(self._seen(), begun) and self._clock.monotonic() < begun + _PATIENCE:
            judge_budget(self._seen(), self._marks, self._clock.monotonic())
            self._clock.sleep(_AGAIN)
        judge_budget(self._seen(), self._marks, self._clock.monotonic())

    def stop(self) -> Availability | None:
        """Stops the probes and returns the figures of the service with the worst availability; None if no
        endpoint ever answered or nothing was changed.
        """
        if self._watch is None:
            return None
        self._watch.stop()
        if self._marks.touched == math.inf:
            return None
        figures = measure(self._seen(), self._marks, self._clock.monotonic())
        for name, found in sorted(figures.items()):
            self._journal.record(EventKind.MEASURED, f"{name}: {summary(found)}")
        return worst(figures)

    def _seen(self) -> Seen:
        return self._watch.samples() if self._watch else {}
