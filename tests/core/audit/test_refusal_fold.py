from __future__ import annotations

import pytest

from deployer.core.audit.chain import AuditEvent
from deployer.core.audit.events import refusal
from deployer.core.audit.refusal_fold import DAY, MOST_KINDS, MOST_ORIGINS, RefusalFold

pytestmark = pytest.mark.case("X12")


def refused(address: str = "203.0.113.9", code: str = "token-rejected", place: str = "GET /x") -> AuditEvent:
    return refusal(address, code, "no", place)


def test_the_first_of_each_kind_and_address_is_kept_at_once() -> None:
    fold = RefusalFold()
    audit_events = [refused(), refused(code="forbidden"), refused(place="GET /y"), refused("203.0.113.10")]
    assert [fold.note(event, 5.0) for event in audit_events] == [[(5.0, event)] for event in audit_events]
    assert [fold.note(event, 6.0) for event in audit_events] == [[]] * 4


def test_repeats_are_told_at_powers_of_ten_and_at_the_end() -> None:
    fold = RefusalFold()
    kept = [event for n in range(250) for _, event in fold.note(refused(), float(n))]
    assert [event.facts.get("count", "1") for event in kept] == ["1", "10", "100"]
    ((at, last),) = fold.end()
    assert at == 249.0 and last.facts["count"] == "250"
    assert (last.facts["first"], last.facts["last"], last.facts["of"]) == ("0", "249", "")
    assert fold.end() == [] and len(fold) == 0


def test_what_was_told_is_not_told_again_at_the_end() -> None:
    fold = RefusalFold()
    for n in range(10):
        fold.note(refused(), float(n))
    fold.note(refused("192.0.2.1"), 11.0)
    assert fold.end() == []


@pytest.mark.parametrize("later", [DAY, 3 * DAY, -1.0])
def test_a_day_ends_also_by_a_clock_that_steps_back(later: float) -> None:
    fold = RefusalFold()
    for n in range(3):
        fold.note(refused(), 100.0 + n)
    assert fold.end_day(100.0 + DAY - 1) == []
    kept = fold.note(refused(), 100.0 + later)
    assert [event.facts.get("count", "1") for _, event in kept] == ["3", "1"]


def test_addresses_without_end_share_a_count_and_a_new_kind_still_shows() -> None:
    fold = RefusalFold()
    kept = [event for n in range(5_000) for _, event in fold.note(refused(f"10.0.{n // 250}.{n % 250}"), 1.0)]
    assert len([event for event in kept if "count" not in event.facts]) == MOST_ORIGINS + 1
    assert kept[-1].facts["count"] == "1000" and kept[-1].facts["of"] == "other addresses"
    new = refused("198.51.100.1", code="forbidden")
    assert fold.note(new, 2.0) == [(2.0, new)]
    assert fold.note(refused("198.51.100.2", code="forbidden"), 2.0) == []


def test_an_ipv6_neighbourhood_is_one_address() -> None:
    fold = RefusalFold()
    kept = [fold.note(refused(f"2001:db8:1:2::{n:x}"), 1.0) for n in range(1, 9)]
    assert sum(map(len, kept)) == 1
    assert fold.note(refused("2001:db8:1:3::1"), 1.0)


def test_an_origin_that_is_no_address_is_one_origin() -> None:
    fold = RefusalFold()
    assert [len(fold.note(refused(origin), 1.0)) for origin in ("", "local", "unknown")] == [1, 0, 0]


def test_kinds_and_addresses_without_end_have_a_bound() -> None:
    fold = RefusalFold()
    kept = [
        event
        for n in range(20_000)
        for _, event in fold.note(refused(f"10.{n % 7}.0.{n % 250}", place=f"GET /{n}"), 1.0)
    ]
    kept += [event for _, event in fold.end()]
    assert len([event for event in kept if "count" not in event.facts]) == MOST_ORIGINS + MOST_KINDS + 1
    assert len(kept) < MOST_ORIGINS + MOST_KINDS + 10
    counted = {event.facts["of"]: int(event.facts["count"]) for event in kept if "count" in event.facts}
    assert counted["other kinds"] == 20_000 - MOST_ORIGINS - MOST_KINDS
