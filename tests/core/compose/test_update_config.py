"""How many replicas are replaced at a time."""

from __future__ import annotations

import pytest

from deployer.core.compose.update_config import Pace, grace_within, pace_of, pause_within
from deployer.core.errors import ComposeRejected


def test_without_a_word_all_go_at_once() -> None:
    for table in ({}, {"deploy": None}, {"deploy": {"update_config": {"order": "start-first"}}}):
        assert pace_of(table) == Pace()
    assert Pace().share(5) == 5


def test_composes_own_words_are_read() -> None:
    pace = pace_of({"deploy": {"update_config": {"parallelism": 2, "delay": "1m30s"}}})
    assert pace == Pace(2, 90.0)
    assert (pace.share(5), pace.share(1)) == (2, 1)


@pytest.mark.parametrize("number", [-1, "2", True, 1.5])
def test_what_is_no_number_is_refused(number: object) -> None:
    with pytest.raises(ComposeRejected, match=r"deploy\.update_config\.parallelism is"):
        pace_of({"deploy": {"update_config": {"parallelism": number}}})


@pytest.mark.parametrize(
    ("grace", "left", "given"),
    [(3.0, 500.0, 3.0), (3.0, -5.0, 3.0), (40.0, 500.0, 40.0), (1e7, 500.0, 500.0), (1e7, 4.0, 10.0)],
)
def test_a_stop_has_what_is_left_of_the_deadline_and_never_less_than_ten_of_its_seconds(
    grace: float, left: float, given: float
) -> None:
    assert grace_within(grace, left) == given


@pytest.mark.parametrize(
    ("pause", "left", "kept"), [(5.0, 6.0, 5.0), (5.0, 5.0, 0.0), (1e9, 5.0, 0.0), (0.0, -1.0, 0.0)]
)
def test_a_pause_is_kept_where_it_ends_before_the_deadline(pause: float, left: float, kept: float) -> None:
    assert pause_within(pause, left) == kept
