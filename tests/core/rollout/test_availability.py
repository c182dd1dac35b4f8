"""What users noticed of a deploy."""

from __future__ import annotations

import math

import pytest

from deployer.core.compose.endpoints import Budget, Endpoint
from deployer.core.errors import BudgetExceeded
from deployer.core.rollout.availability import (
    MOST_ENDPOINTS,
    Marks,
    Sample,
    awaits_answer,
    brief,
    judge_budget,
    measure,
    most_important,
    summary,
    worst,
)


def endpoint(service: str = "web", budget: Budget | None = None, number: int = 80) -> Endpoint:
    return Endpoint(service, "127.0.0.1", number, True, "/", budget or Budget())


def steady(first: float, last: float, *, good: bool = True, took: float = 0.001) -> list[Sample]:
    """One request every 20 ms."""
    return [Sample(first + n * 0.02, took, good) for n in range(round((last - first) / 0.02))]


def test_a_deploy_that_nobody_noticed() -> None:
    samples = [*steady(0, 1), *steady(1, 2, took=0.003), *steady(2, 3)]
    found = measure({endpoint(): samples}, Marks(touched=1.0, drained=2.0), 3.0)["web"]
    assert (found.requests, found.failed, found.longest_gap_ms) == (150, 0, 22.0)
    assert found.p50_ms == {"before": 1.0, "during": 3.0, "after": 1.0}
    assert found.p95_ms == {"before": 1.0, "during": 3.0, "after": 1.0}
    assert summary(found) == (
        "0 of 150 requests failed, longest gap 22 ms;"
        " median/95th percentile in ms: before 1/1, during 3/3, after 1/1"
    )


def test_what_was_lost_and_for_how_long() -> None:
    samples = [*steady(0, 1), *steady(1, 1.5, good=False), *steady(1.5, 2)]
    found = measure({endpoint(): samples}, Marks(touched=0.5), 2.0)["web"]
    assert (found.requests, found.failed) == (100, 25)
    assert found.longest_gap_ms == pytest.approx(520)
    assert found.p50_ms["after"] is None and "after" not in summary(found)


def test_a_door_that_stays_shut_is_a_gap_until_now() -> None:
    assert measure({endpoint(): steady(0, 1)}, Marks(), 4.0)["web"].longest_gap_ms == pytest.approx(3019)


def test_a_door_counts_from_its_first_good_answer_on() -> None:
    samples = [*steady(0, 1, good=False), *steady(1, 2)]
    found = measure({endpoint(): samples}, Marks(touched=0.0), 2.0)["web"]
    assert (found.requests, found.failed) == (50, 0)


def test_what_never_answered_has_no_figures() -> None:
    assert measure({endpoint(): steady(0, 1, good=False), endpoint("b"): []}, Marks(), 1.0) == {}
    assert worst({}) is None


def test_the_slowest_in_twenty_is_seen() -> None:
    samples = [*steady(0, 1.8), *steady(1.8, 2.0, took=0.2)]
    assert measure({endpoint(): samples}, Marks(), 2.2)["web"].p95_ms["before"] == 200


def test_the_worst_service_stands_for_the_deployment() -> None:
    lost = [*steady(0, 1), *steady(1, 1.1, good=False), *steady(1.1, 2)]
    slow = [*steady(0, 1), *steady(1.5, 2)]
    seen = {endpoint("a"): steady(0, 2), endpoint("b"): lost, endpoint("c"): slow}
    figures = measure(seen, Marks(), 2.0)
    assert worst(figures) == figures["b"]
    assert brief(figures["b"]) == "5 of 100 requests failed, longest gap 120 ms"


def test_the_doors_of_a_service_are_counted_together() -> None:
    seen = {endpoint(number=80): steady(0, 1), endpoint(number=443): steady(0, 1)}
    assert measure(seen, Marks(), 1.0)["web"].requests == 100


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(max_failed=4), "service web: 5 requests failed, at most 4 may"),
        (
            Budget(max_failed=9, max_gap_ms=100),
            "service web: 1[012]. ms without an answer, at most 100 may be",
        ),
    ],
)
def test_more_than_the_budget_allows_is_refused(budget: Budget, told: str) -> None:
    samples = [*steady(0, 1), *steady(1, 1.1, good=False), *steady(1.1, 2)]
    with pytest.raises(BudgetExceeded, match=told):
        judge_budget({endpoint(budget=budget): samples}, Marks(touched=1.0), 2.0)


def test_what_keeps_to_the_budget_passes() -> None:
    samples = [*steady(0, 1), *steady(1, 1.1, good=False), *steady(1.1, 2)]
    judge_budget(
        {endpoint(budget=Budget(5, 200.0)): samples, endpoint("b"): samples}, Marks(touched=0.5), 2.0
    )


@pytest.mark.parametrize("touched", [1.5, math.inf])
def test_what_was_lost_before_anything_was_touched_is_not_the_deployments_doing(touched: float) -> None:
    samples = [*steady(0, 1), *steady(1, 1.4, good=False), *steady(1.4, 2)]
    seen = {endpoint(budget=Budget(0, 100.0)): samples}
    judge_budget(seen, Marks(touched=touched), 2.0)
    with pytest.raises(BudgetExceeded, match="20 requests failed"):
        judge_budget(seen, Marks(touched=0.9), 2.0)


def test_a_gap_counts_from_the_touch_on() -> None:
    samples = [*steady(0, 1), *steady(1, 60, good=False), *steady(60, 61)]
    seen = {endpoint(budget=Budget(max_gap_ms=200.0)): samples}
    judge_budget(seen, Marks(touched=59.9), 61.0)
    with pytest.raises(BudgetExceeded, match="301 ms without an answer"):
        judge_budget(seen, Marks(touched=59.7), 61.0)


def test_a_door_with_a_budget_that_answered_once_is_awaited() -> None:
    bound, free = endpoint(budget=Budget(0)), endpoint("free")
    assert awaits_answer({bound: steady(0, 1)}, 1.0)
    assert not awaits_answer({bound: steady(0, 1.1), free: steady(0, 1)}, 1.0)
    assert not awaits_answer({bound: steady(0, 1, good=False)}, 1.0), "it never answered"


def test_ports_with_a_budget_are_asked_before_all_others() -> None:
    endpoints = [
        Endpoint(f"s{n}", "127.0.0.1", n, True, "/", Budget(0 if n > 950 else None)) for n in range(1, 1001)
    ]
    chosen = most_important(endpoints)
    assert len(chosen) == MOST_ENDPOINTS and {endpoint.port for endpoint in chosen} >= set(range(951, 1001))
    assert most_important(endpoints[:3]) == tuple(endpoints[:3])
