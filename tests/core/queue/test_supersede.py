"""Which deployment wins, as tables."""

from __future__ import annotations

import pytest

from deployer.core.model import Run, Status
from deployer.core.queue.supersede import MAX_ATTEMPTS, Outcome, decide_supersede, judge_interrupted


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (Run(13, 1), Outcome.QUEUED),
        (Run(12, 3), Outcome.QUEUED),
        (Run(12, 1), Outcome.STALE),
        (Run(11, 9), Outcome.STALE),
        (None, Outcome.QUEUED),
    ],
)
def test_another_run_is_newer_or_stale_whatever_became_of_the_newest(
    run: Run | None, outcome: Outcome, status: Status
) -> None:
    assert decide_supersede(run, Run(12, 2), status) is outcome


@pytest.mark.parametrize("status", list(Status))
def test_the_same_run_is_tried_again_only_after_it_failed(status: Status) -> None:
    failed = status in (Status.FAILURE, Status.ERROR)
    assert decide_supersede(Run(12, 2), Run(12, 2), status) is (
        Outcome.QUEUED if failed else Outcome.DUPLICATE
    )


def test_an_interrupted_deployment_is_tried_again_until_it_was_started_often_enough() -> None:
    assert judge_interrupted(MAX_ATTEMPTS - 1, "") == (Status.QUEUED, "")
    status, reason = judge_interrupted(MAX_ATTEMPTS, "")
    assert status is Status.ERROR
    assert "[interrupted]" in reason


def test_an_interrupted_deployment_gives_way_to_a_newer_one() -> None:
    assert judge_interrupted(1, "0123") == (Status.INACTIVE, "superseded by 0123")
