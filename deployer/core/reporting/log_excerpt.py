"""Most informative line of a container's log. In: lines. Out: one of them, or its quotation in a reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 200  # characters of a quotation
_NAMED_ERROR = re.compile(
    r"\s*(?:uncaught )?[\w.]*(?:error|exception|fatal|panic)\b[^:]{0,20}:", re.IGNORECASE
)


def failure_line(lines: Sequence[str]) -> str:
    """Returns the line that best explains the program's end: `SomeError: …` before any line with an error,
    else the last line.
    """
    named = [line for line in lines if _NAMED_ERROR.match(line)]
    loose = [line for line in lines if "error" in line.lower()]
    return (named or loose or list(lines[-1:]) or [""])[0]


def quotation(lines: Sequence[str]) -> str:
    """Returns the end of a failure's reason, `; it said: …` with the failure line, empty without one."""
    told = failure_line(lines)
    return f"; it said: {told[:_LONGEST]}" if told else ""
