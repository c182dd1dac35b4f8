"""What one answer says about the release behind it."""

from __future__ import annotations

import pytest

from deployer.core.build.release_check import Demand, Sight, judge_served

NEW, OLD = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d", "ffeeddccbbaa99887766554433221100ffeeddcc"
AUTO, TRUE, FALSE = Demand.AUTO, Demand.TRUE, Demand.FALSE


@pytest.mark.parametrize(
    ("status", "text", "demand", "sight"),
    [
        (200, f"X-Revision: {NEW}\n<html>", AUTO, Sight.NAMED),
        (200, '{"revision": "1a2b3c4"}', AUTO, Sight.NAMED),
        (200, '{"revision": "1a2b3c4d5e"}', TRUE, Sight.NAMED),
        (204, f"sha-{NEW}", TRUE, Sight.NAMED),
        (200, f"{OLD} {NEW}", AUTO, Sight.NAMED),
        (200, f"now {OLD[:7]}", AUTO, Sight.WRONG),
        (200, f"now {OLD}", TRUE, Sight.WRONG),
        (200, f"now {OLD}", FALSE, Sight.ANSWERS),
        (200, "hello", AUTO, Sight.ANSWERS),
        (200, "1a2b3c", AUTO, Sight.ANSWERS),
        (200, "x1a2b3c4", AUTO, Sight.ANSWERS),
        (200, "1a2b3c5", AUTO, Sight.ANSWERS),
        (200, NEW + "0", AUTO, Sight.ANSWERS),
        (200, "hello", TRUE, Sight.WRONG),
        (199, NEW, AUTO, Sight.WRONG),
        (301, NEW, AUTO, Sight.WRONG),
        (404, NEW, FALSE, Sight.WRONG),
        (502, NEW, AUTO, Sight.WRONG),
    ],
)
def test_an_answer_is_judged_by_status_and_by_what_it_names(
    status: int, text: str, demand: Demand, sight: Sight
) -> None:
    seen = judge_served(status, text, revision=NEW, previous=OLD, demand=demand)
    assert seen.sight is sight
    assert seen.reason.startswith("it ") and NEW not in seen.reason


def test_where_nothing_served_before_an_old_revision_means_nothing() -> None:
    assert judge_served(200, OLD, revision=NEW, previous="", demand=AUTO).sight is Sight.ANSWERS


def test_the_same_revision_again_is_the_new_one() -> None:
    assert judge_served(200, NEW, revision=NEW, previous=NEW, demand=AUTO).sight is Sight.NAMED
