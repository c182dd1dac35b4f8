"""How many replicas are replaced at a time."""

from __future__ import annotations

import pytest

from deployer.core.errors import ComposeRejected
from deployer.core.pace import Pace, pace_of


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
