"""What users noticed of a deploy. In: the deployer's own requests through the published ports. Out: figures,
and whether they keep to the budget. Asks nothing itself.

A door counts from its first good answer on: what never answered cannot get worse, and a first deploy begins
with nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.compose.endpoints import Budget, Door
from deployer.core.errors import BudgetExceeded
from deployer.core.model import Measured


@dataclass(frozen=True)
class Sample:
    """One request: when it began (monotonic seconds), how long until its answer, whether that was good."""

    at: float
    took: float
    good: bool


@dataclass(frozen=True)
class Marks:
    """Where a deployment's phases meet: the first touch of anything, and the end of the last drain."""

    touched: float = math.inf
    drained: float = math.inf

    def phase(self, at: float) -> str:
        if at < self.touched:
            return "before"
        return "during" if at < self.drained else "after"


Seen = Mapping[Door, Sequence[Sample]]
PHASES = ("before", "during", "after")
# Ports that are asked in one deployment: a file may publish thousands, and each costs the receiver sockets.
MOST_DOORS = 64


def most_important(doors: Sequence[Door]) -> tuple[Door, ...]:
    """Those with a budget first, as many as may be asked."""
    return tuple(sorted(doors, key=lambda door: not door.budget.given)[:MOST_DOORS])


def measure(seen: Seen, marks: Marks, now: float) -> dict[str, Measured]:
    """Service → its figures up to `now`; a service that never answered has none."""
    services: dict[str, list[list[Sample]]] = {}
    for door, samples in seen.items():
        if counted := _counted(samples):
            services.setdefault(door.service, []).append(counted)
    return {name: _figures(doors, marks, now) for name, doors in services.items()}


def worst(figures: Mapping[str, Measured]) -> Measured | None:
    """Those of the service that fared worst."""
    return max(figures.values(), key=lambda one: (one.failed, one.longest_gap_ms), default=None)


def judge_budget(seen: Seen, marks: Marks, now: float) -> None:
    """Raises BudgetExceeded for the first service whose users had to bear more than it allows, from the first
    touch on: what the release before loses by itself must not keep its mending out.
    """
    if marks.touched == math.inf:
        return
    budgets = {door.service: door.budget for door in seen}
    caused = {door: _since(marks.touched, samples) for door, samples in seen.items()}
    for name, figures in measure(caused, marks, now).items():
        if over := _over(budgets[name], figures):
            raise BudgetExceeded(
                f"service {name}: {over}",
                hint="x-deployer.max-failed and max-gap in the Compose file set this",
            )


def awaits_answer(seen: Seen, since: float) -> bool:
    """Whether a door with a budget, which answered once, has given no good answer to what was asked from then
    on: some may still wait for one, and be lost.
    """
    return any(
        door.budget.given
        and any(sample.good for sample in samples)
        and not any(sample.good and sample.at >= since for sample in samples)
        for door, samples in seen.items()
    )


def summary(figures: Measured) -> str:
    """In one line."""
    times = ", ".join(
        f"{phase} {figures.p50_ms[phase]:g}/{figures.p95_ms[phase]:g}"
        for phase in PHASES
        if figures.p50_ms[phase] is not None
    )
    return f"{brief(figures)}; median/95th percentile in ms: {times}"


def brief(figures: Measured) -> str:
    """In a few words."""
    return (
        f"{figures.failed} of {figures.requests} requests failed, longest gap {figures.longest_gap_ms:.0f} ms"
    )


def _counted(samples: Sequence[Sample]) -> list[Sample]:
    return list(itertools.dropwhile(lambda sample: not sample.good, sorted(samples, key=lambda one: one.at)))


def _since(touched: float, samples: Sequence[Sample]) -> list[Sample]:
    """Answered from then on. A door that answered before counts as if it had done so at the touch: a gap that
    began earlier is not the deployment's doing up to there.
    """
    counted = _counted(samples)
    after = [sample for sample in counted if sample.at + sample.took >= touched]
    return [Sample(touched, 0.0, True), *after] if len(after) < len(counted) else after


def _figures(doors: Sequence[Sequence[Sample]], marks: Marks, now: float) -> Measured:
    samples = [sample for door in doors for sample in door]
    times: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for sample in samples:
        if sample.good:
            times[marks.phase(sample.at)].append(sample.took * 1000)
    return Measured(
        requests=len(samples),
        failed=sum(not sample.good for sample in samples),
        longest_gap_ms=round(max(_gap(door, now) for door in doors) * 1000, 1),
        p50_ms={phase: _percentile(found, 0.50) for phase, found in times.items()},
        p95_ms={phase: _percentile(found, 0.95) for phase, found in times.items()},
    )


def _gap(samples: Sequence[Sample], now: float) -> float:
    """The longest time between two good answers, the last of which may still be missing."""
    ends = sorted(sample.at + sample.took for sample in samples if sample.good)
    return max(later - earlier for earlier, later in itertools.pairwise([*ends, max(ends[-1], now)]))


def _percentile(values: list[float], part: float) -> float | None:
    if not values:
        return None
    return round(sorted(values)[min(len(values) - 1, int(part * len(values)))], 2)


def _over(budget: Budget, figures: Measured) -> str:
    if budget.max_failed is not None and figures.failed > budget.max_failed:
        return f"{figures.failed} requests failed, at most {budget.max_failed} may"
    if budget.max_gap_ms is not None and figures.longest_gap_ms > budget.max_gap_ms:
        return f"{figures.longest_gap_ms:.0f} ms without an answer, at most {budget.max_gap_ms:.0f} may be"
    return ""
