"""Check of the public address for the release behind it. In: status, headers and text of one answer, the
expected revision, the previous one. Out: a sight and its reason.

An application that names its revision anywhere, in a header, JSON or HTML, full or shortened to seven digits
or more, can be distinguished from the previous one. For any other application the check only shows that it
answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_WORD = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z])")


class Demand(StrEnum):
    """Strictness of the check: `auto` refuses only an answer that still names the old revision."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class Sight(StrEnum):
    """Result of the check. `NAMED`: the new revision is named. `ANSWERS`: a good answer without
    the revision.
    """

    NAMED = "named"
    ANSWERS = "answers"
    WRONG = "wrong"


@dataclass(frozen=True)
class Seen:
    """Result of one request."""

    sight: Sight
    reason: str


def judge_served(status: int, text: str, *, revision: str, previous: str, demand: Demand) -> Seen:
    """Judges one answer; `text` holds headers and body."""
    if not 200 <= status < 300:
        return Seen(Sight.WRONG, f"it answers {status}")
    if demand is Demand.FALSE:
        return Seen(Sight.ANSWERS, f"it answers {status}")
    if any(revision.startswith(word) for word in _words(text)):
        return Seen(Sight.NAMED, f"it serves {revision[:7]}")
    if previous and any(previous.startswith(word) for word in _words(text)):
        return Seen(Sight.WRONG, f"it still serves {previous[:7]}")
    if demand is Demand.TRUE:
        return Seen(Sight.WRONG, f"it answers {status} and does not name the revision {revision[:7]}")
    return Seen(Sight.ANSWERS, f"it answers {status} without naming its revision")


def _words(text: str) -> Iterator[str]:
    return (match.group() for match in _WORD.finditer(text))
