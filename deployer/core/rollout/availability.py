"""Availability of a deploy as its users noticed it. In: the deployer's own requests through the published
ports. Out: figures, and BudgetExceeded where they pass a budget. Never sends a request.

An endpoint counts from its first good answer on: one that never answered cannot get worse, and a first deploy
begins without a running service.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deployer.core.compose.endpoints import Budget, Endpoint
from deployer.core.errors import BudgetExceeded
from deployer.core.model import Availability


@dataclass(frozen=True)
class Sample:
    """Result of one request: its start (monotonic seconds), the seconds until its answer, and `good`."""

    at: float
    took: float
    good: bool


class Phase(StrEnum):
    """Part of a deployment, relative to its changes."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True)
class Marks:
    """Times that separate a deployment's phases: the first change to anything, and the end of the last
    drain.
    """

    touched: float = math.inf
    drained: float = math.inf

    def phase(self, at: float) -> Phase:
        if at < self.touched:
            return Phase.BEFORE
        return Phase.DURING if at < self.drained else Phase.AFTER


Seen = Mapping[Endpoint, Sequence[Sample]]
# Most endpoints that are probed in one deployment: a file may publish thousands, and each costs sockets.
MOST_ENDPOINTS = 64


def most_important(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Returns at most `MOST_ENDPOINTS` endpoints, those with a budget first."""
    return tuple(sorted(endpoints, key=lambda endpoint: not endpoint.budget.given)[:MOST_ENDPOINTS])


def measure(seen: Seen, marks: Marks, now: float) -> dict[str, Availability]:
    """Returns service → its figures up to `now`; a service that never answered has none."""
    services: dict[str, list[list[Sample]]] = {}
    for endpoint, samples in seen.items():
        if counted := _counted(samples):
            services.setdefault(endpoint.service, []).append(counted)
    return {name: _figures(endpoints, marks, now) for name, endpoints in services.items()}


def worst(figures: Mapping[str, Availability]) -> Availability | None:
    """Returns the figures of the service with most failed requests, then with the longest gap."""
    return max(figures.values(), key=lambda one: (one.failed, one.longest_gap_ms), default=None)


def judge_budget(seen: Seen, marks: Marks, now: float) -> None:
    """Raises BudgetExceeded for the first service that passed its budget, counted from the deployment's first
    change on: losses of the previous release must not block the deploy that repairs it.
    """
    if marks.touched == math.inf:
        return
    budgets = {endpoint.service: endpoint.budget for endpoint in seen}
    caused = {endpoint: _since(marks.touched, samples) for endpoint, samples in seen.items()}
    for name, figures in measure(caused, marks, now).items():
        if over := _over(budgets[name], figures):
            raise BudgetExceeded(
                f"service {name}: {over}",
                hint="x-deployer.max-failed and max-gap in the Compose file set this",
            )


def awaits_answer(seen: Seen, since: float) -> bool:
    """True if an endpoint with a budget, which answered before, has given no good answer to requests sent
    from `since` on: some may still wait for one, and be lost.
    """
    return any(
        endpoint.budget.given
        and any(sample.good for sample in samples)
        and not any(sample.good and sample.at >= since for sample in samples)
        for endpoint, samples in seen.items()
    )


def summary(figures: Availability) -> str:
    """Returns the figures in one line, with the times of each phase."""
    times = ", ".join(
        f"{phase} {figures.p50_ms[phase]:g}/{figures.p95_ms[phase]:g}"
        for phase in Phase
        if figures.p50_ms[phase] is not None
    )
    return f"{brief(figures)}; median/95th percentile in ms: {times}"


def brief(figures: Availability) -> str:
    """Returns the failed requests and the longest gap in a few words."""
    return (
        f"{figures.failed} of {figures.requests} requests failed, longest gap {figures.longest_gap_ms:.0f} ms"
    )


def _counted(samples: Sequence[Sample]) -> list[Sample]:
    return list(itertools.dropwhile(lambda sample: not sample.good, sorted(samples, key=lambda one: one.at)))


def _since(touched: float, samples: Sequence[Sample]) -> list[Sample]:
    """Returns the samples answered from `touched` on. An endpoint that answered before counts as if it had
    done so at `touched`: the part of a gap before that time is not the deployment's doing.
    """
    counted = _counted(samples)
    after = [sample for sample in counted if sample.at + sample.took >= touched]
    return [Sample(touched, 0.0, True), *after] if len(after) < len(counted) else after


def _figures(endpoints: Sequence[Sequence[Sample]], marks: Marks, now: float) -> Availability:
    samples = [sample for endpoint in endpoints for sample in endpoint]
    times: dict[str, list[float]] = {phase: [] for phase in Phase}
    for sample in samples:
        if sample.good:
            times[marks.phase(sample.at)].append(sample.took * 1000)
    return Availability(
        requests=len(samples),
        failed=sum(not sample.good for sample in samples),
        longest_gap_ms=round(max(_gap(endpoint, now) for endpoint in endpoints) * 1000, 1),
        p50_ms={phase: _percentile(found, 0.50) for phase, found in times.items()},
        p95_ms={phase: _percentile(found, 0.95) for phase, found in times.items()},
    )


def _gap(samples: Sequence[Sample], now: float) -> float:
    """Returns the longest time between two good answers; the last of them may still be missing at `now`."""
    ends = sorted(sample.at + sample.took for sample in samples if sample.good)
    return max(later - earlier for earlier, later in itertools.pairwise([*ends, max(ends[-1], now)]))


def _percentile(values: list[float], part: float) -> float | None:
    if not values:
        return None
    return round(sorted(values)[min(len(values) - 1, int(part * len(values)))], 2)


def _over(budget: Budget, figures: Availability) -> str:
    if budget.max_failed is not None and figures.failed > budget.max_failed:
        return f"{figures.failed} requests failed, at most {budget.max_failed} may"
    if budget.max_gap_ms is not None and figures.longest_gap_ms > budget.max_gap_ms:
        return f"{figures.longest_gap_ms:.0f} ms without an answer, at most {budget.max_gap_ms:.0f} may be"
    return ""
