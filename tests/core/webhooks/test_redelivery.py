"""Which of GitHub's deliveries were missed, and how one is read that was."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.errors import PayloadRejected
from deployer.core.webhooks.redelivery import Attempt, Sent, delivery_of, missed

FORM = "application/x-www-form-urlencoded"
PAYLOAD = {"ref": "refs/heads/main", "n": [1, "\u00e4"]}


def attempt(id: int, guid: str, code: int, at: float = 0.0, event: str = "workflow_run") -> Attempt:
    return Attempt(id, guid, event, at or float(id), code)


@pytest.mark.parametrize("code", [0, 408, 429, 500, 502, 503, 504])
def test_what_nobody_answered_well_was_missed(code: int) -> None:
    assert missed([attempt(1, "a", code)]) == [attempt(1, "a", code)]


@pytest.mark.parametrize("code", [200, 202, 400, 401, 403, 404, 413, 415])
def test_what_was_answered_was_not_missed_and_what_was_refused_stays_refused(code: int) -> None:
    assert missed([attempt(1, "a", code)]) == []


def test_one_good_attempt_is_enough_whenever_it_was() -> None:
    assert missed([attempt(3, "a", 502), attempt(2, "a", 202), attempt(1, "a", 0)]) == []


def test_of_several_attempts_the_newest_is_taken_and_all_come_oldest_first() -> None:
    listed = [attempt(4, "b", 0), attempt(3, "a", 502), attempt(2, "c", 0), attempt(1, "a", 0)]
    assert [one.id for one in missed(listed)] == [2, 3, 4]


def test_a_ping_is_nothing_to_miss() -> None:
    assert missed([attempt(1, "a", 0, event="ping")]) == []


def test_none_of_many_is_left_out() -> None:
    assert [one.id for one in missed([attempt(n, str(n), 0) for n in range(1, 3001)])] == [*range(1, 3001)]


def sent(**headers: str) -> Sent:
    usual = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "g1",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Sent({**usual, **headers}, {"ref": "refs/heads/main", "n": [1, "\u00e4"]})


def test_what_was_sent_is_read_as_at_the_door_whatever_its_content_type_was() -> None:
    read = delivery_of(sent())
    assert (read.guid, read.event, read.payload) == (
        "g1",
        "push",
        {"ref": "refs/heads/main", "n": [1, "\u00e4"]},
    )
    assert len(read.body_sha256) == 64


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
def test_what_lacks_its_name_or_guid_is_refused(header: str) -> None:
    changes: dict[str, Any] = {header: ""}
    with pytest.raises(PayloadRejected, match=header):
        delivery_of(sent(**changes))
