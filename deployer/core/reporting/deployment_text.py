"""Deployments in words. In: `Deployment` values and the time now. Out: text for GitHub or a terminal. Never
decides a deployment's status, and never reads a clock.

Reasons and names come from strangers: no text leaves here with control characters or line breaks inside a
line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from deployer.core.model import Deployment, Kind, Status
from deployer.core.reporting.terminal_table import lines_of, width_of, wrapped
from deployer.core.rollout.availability import brief

MAX_DESCRIPTION = 140  # GitHub's REST API, "Create a deployment status"
PAYLOAD_SCHEMA = "deployer/1"  # marks GitHub deployments that this program created
_SPACE = re.compile(r"\s+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))
_WORDS = {Kind.DEPLOY: "deploy", Kind.REDEPLOY: "redeploy", Kind.ROLLBACK: "rollback"}
_COLUMNS: tuple[tuple[str, Callable[[Deployment, float], str]], ...] = (
    ("ID", lambda row, now: row.id),
    ("STATUS", lambda row, now: row.status.value),
    ("WHEN", lambda row, now: ago(row.created_at, now)),
    ("TOOK", lambda row, now: _took(row)),
    ("LOST", lambda row, now: f"{row.measured.failed}/{row.measured.requests}" if row.measured else "-"),
    ("GAP", lambda row, now: f"{row.measured.longest_gap_ms:.0f} ms" if row.measured else "-"),
    ("WHAT", lambda row, now: _WORDS[row.kind]),
    ("REVISION", lambda row, now: row.revision[:7] or "-"),
    ("RELEASE", lambda row, now: row.release or "-"),
    ("BY", lambda row, now: cut(f"{row.actor or '-'} ({row.trigger})", 40)),
    ("REASON", lambda row, now: cut(row.reason, 60)),
)
# Columns that a narrow terminal does without, the least important first; `show` has them all.
_DISPENSABLE = ("GAP", "LOST", "BY", "TOOK", "WHAT", "RELEASE", "REVISION")
_SHORT_ID = 12  # digits of an id that hold its time in milliseconds; `show` takes them for the whole


def one_line(text: str) -> str:
    """Returns the text without line breaks, control characters and characters that turn the writing
    direction.
    """
    return _UNSEEN.sub("", _SPACE.sub(" ", text)).strip()


def plain(line: str) -> str:
    """Returns one line with its columns, without control characters and characters that turn the writing
    direction.
    """
    return _UNSEEN.sub("", line.expandtabs()).rstrip()


def cut(text: str, width: int) -> str:
    """Returns `text` as one line of at most `width` characters; an ellipsis marks missing text."""
    line = one_line(text)
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}…"


def describe(deployment: Deployment) -> str:
    """Returns the deployment's description for GitHub: at most 140 characters."""
    return cut(_sentence(deployment), MAX_DESCRIPTION)


def _sentence(deployment: Deployment) -> str:
    what = f"{_WORDS[deployment.kind]} of {deployment.revision[:7] or 'the chosen release'}"
    match deployment.status:
        case Status.QUEUED:
            return f"{what} waits for its turn"
        case Status.IN_PROGRESS:
            return f"{what} is running"
        case Status.SUCCESS:
            return f"{what} serves after {_took(deployment)}{_cost(deployment)}"
        case Status.INACTIVE:
            return f"{what} did not run: {deployment.reason or 'a newer one was requested'}"
        case Status.FAILURE:
            return f"{what} was refused: {deployment.reason}"
    return f"{what} failed: {deployment.reason}"


def _cost(deployment: Deployment) -> str:
    return f"; {brief(deployment.measured)}" if deployment.measured else ""


def payload_of(deployment: Deployment) -> dict[str, str]:
    """Returns the payload of our GitHub deployments, which identifies them and keeps them from being taken
    for requests.
    """
    return {"schema": PAYLOAD_SCHEMA, "deployment": deployment.id}


def history_table(rows: Sequence[Deployment], now: float, width: int = 0) -> str:
    """Returns deployments as a table for a terminal of `width` columns, 0 for no limit, in the order given. A
    narrow one has short ids, fewer columns and each reason below its row.
    """
    if not rows:
        return "no deployments yet"
    table = {title: [one_line(show(row, now)) for row in rows] for title, show in _COLUMNS}
    if not width or width_of(table) <= width:
        return "\n".join(lines_of(table))
    reasons = table.pop("REASON")
    table["ID"] = [id[:_SHORT_ID] for id in table["ID"]]
    for title in _DISPENSABLE:
        if width_of(table) > width:
            del table[title]
    head, *lines = lines_of(table)
    below = (wrapped(reason, width, indent="  ", hanging="  ") if reason else [] for reason in reasons)
    return "\n".join(
        [head, *(text for line, more in zip(lines, below, strict=True) for text in (line, *more))]
    )


def ago(then: float, now: float) -> str:
    """Returns `3 min ago`; a time in the future reads as `just now`."""
    passed = now - then
    if passed < 1:
        return "just now"
    return f"{span(passed)} ago"


def span(seconds: float) -> str:
    """Returns a duration in its largest whole unit; short ones in seconds."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{max(0, int(seconds))} s"


def _took(deployment: Deployment) -> str:
    """Returns the duration from start to end; `-` while either is missing."""
    if deployment.started_at is None or deployment.ended_at is None:
        return "-"
    return _exact(max(0.0, deployment.ended_at - deployment.started_at))


def _exact(seconds: float) -> str:
    return span(seconds) if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
