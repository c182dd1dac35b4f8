from __future__ import annotations

import pytest

from deployer.core.errors import StoreUnavailable, TooManyRequests
from deployer.core.model import Bundle
from deployer.core.release.plan_folders import MOST_BYTES, MOST_PLANS, RESERVE, bytes_of, judge_plan

pytestmark = pytest.mark.case("X12")


def test_files_take_whole_blocks_and_folders_one_each() -> None:
    assert bytes_of(Bundle("a", {"a": "é"})) == 2 + 2 * 4096
    assert bytes_of(Bundle("a", {"a": "", "b/c/d": "1"})) == 2 * 4096 + 1 + 4 * 4096


def test_plans_are_bounded_in_number_and_bytes() -> None:
    judge_plan(10, [10] * (MOST_PLANS - 1), RESERVE * 2)
    for needed, held in ((10, [10] * MOST_PLANS), (MOST_BYTES, [1]), (MOST_BYTES + 1, [])):
        with pytest.raises(TooManyRequests):
            judge_plan(needed, held, RESERVE * 2)


def test_a_plan_leaves_the_rest_of_the_disk_to_deploys() -> None:
    judge_plan(1_000, [], RESERVE + 1_000)
    with pytest.raises(StoreUnavailable, match="256 MB to deploys"):
        judge_plan(1_000, [], RESERVE + 999)
