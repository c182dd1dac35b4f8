"""Folding of refusals of one kind. In: refusals and their time. Out: the audit events that the log keeps of
them. Never drops a first one.

A kind is the error's code and the place; an IPv6 /64 counts as one address. The first refusal of a kind from
an address is kept at once, repeats as one event with count, first and last time: at the 10th, the 100th and
so on, and at the end of the day. Beyond a number of addresses all further ones share one count for each kind,
and beyond a number of kinds all further ones share one. So a day has a number of entries that no flood
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deployer.core.audit.chain import AuditEvent
from deployer.core.http.client_address import caller_of

DAY = 86_400.0  # seconds
MOST_ORIGINS = 100  # addresses and kinds with their own count in a day
MOST_KINDS = 40  # kinds with one count for all other addresses
_OTHER_ADDRESSES, _OTHER_KINDS = "other addresses", "other kinds"
_Key = tuple[str, str, str]  # code, place, address


@dataclass
class _Count:
    event: AuditEvent  # the newest
    first: float
    last: float
    count: int = 1
    told: int = 1


class RefusalFold:
    """Counts of one process for one day. Not thread-safe."""

    def __init__(self) -> None:
        self._begun = float("-inf")
        self._counts: dict[_Key, _Count] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def note(self, event: AuditEvent, now: float) -> list[tuple[float, AuditEvent]]:
        """Counts a refusal; returns the events to keep now, each with its time."""
        kept = self.end_day(now)
        if not self._counts:
            self._begun = now
        key = self._key(event)
        if known := self._counts.get(key):
            known.event, known.last, known.count = event, now, known.count + 1
            return [*kept, *([(now, _told(key, known))] if _is_power_of_ten(known.count) else [])]
        self._counts[key] = _Count(event, now, now)
        return [*kept, (now, event)]

    def end_day(self, now: float) -> list[tuple[float, AuditEvent]]:
        """Returns the events of a day that is over, none before. A clock that steps back ends a day too."""
        return [] if 0 <= now - self._begun < DAY else self.end()

    def end(self) -> list[tuple[float, AuditEvent]]:
        """Returns the events for counts that were not recorded yet; forgets all counts."""
        kept = [(one.last, _told(key, one)) for key, one in self._counts.items() if one.count > one.told]
        self._counts.clear()
        return kept

    def _key(self, event: AuditEvent) -> _Key:
        *candidates, last = _keys(event)
        for key, most in zip(candidates, (MOST_ORIGINS, MOST_KINDS), strict=True):
            alike = sum(_form(other) == _form(key) for other in self._counts)
            if key in self._counts or alike < most:
                return key
        return last


def _keys(event: AuditEvent) -> Iterator[_Key]:
    """Yields the keys of a refusal, from the finest to the coarsest."""
    place = event.facts.get("place", "")
    yield event.verdict, place, caller_of(event.origin, "", ()).key
    yield event.verdict, place, _OTHER_ADDRESSES
    yield "", "", _OTHER_KINDS


def _form(key: _Key) -> str:
    return key[2] if key[2] in (_OTHER_ADDRESSES, _OTHER_KINDS) else ""


def _told(key: _Key, one: _Count) -> AuditEvent:
    """Returns the newest event with the counts; `of` names the group that shares the count."""
    one.told = one.count
    numbers = {"count": str(one.count), "first": f"{one.first:.0f}", "last": f"{one.last:.0f}"}
    return replace(one.event, facts={**one.event.facts, **numbers, "of": _form(key)})


def _is_power_of_ten(number: int) -> bool:
    return number >= 10 and str(number).strip("0") == "1"
