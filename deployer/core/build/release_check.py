"""What one answer of the public address says about the release behind it. In: status, headers and text of the
answer, the revision that should serve, the one that served before. Out: a sight and its reason.

An application that names its revision anywhere, in a header, JSON or HTML, full or shortened to seven digits
or more, can be told from the one before. One that does not can only be seen to answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_WORD = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z])")


class Demand(StrEnum):
    """Whether the answer must name the revision: `auto` refuses only one that still names the old one."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class Sight(StrEnum):
    """`NAMED`: the new revision is named. `ANSWERS`: all is well, but the revision is not named."""

    NAMED = "named"
    ANSWERS = "answers"
    WRONG = "wrong"


@dataclass(frozen=True)
class Seen:
    """One look from outside."""

    sight: Sight
    reason: str


def judge_served(status: int, text: str, *, revision: str, previous: str, demand: Demand) -> Seen:
    """`text` holds headers and body."""
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
    return Seen(Sight.ANSWERS, f"it answers {status}; which revision serves it does not say")


def _words(text: str) -> Iterator[str]:
    return (match.group() for match in _WORD.finditer(text))
