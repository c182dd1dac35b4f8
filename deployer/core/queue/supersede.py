"""Which of two deployments wins. In: runs, states, counts. Out: the outcome, for the store to write down.

Newest wins by run number and attempt, never by date: deliveries arrive out of order and again.
"""

from __future__ import annotations

from enum import StrEnum

from deployer.core.model import Run, Status

MAX_ATTEMPTS = 3  # starts of one deployment; a release that takes the deployer down with it is given up


class Outcome(StrEnum):
    """What became of something that arrived."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"


def judge_run(run: Run | None, newest: Run, status: Status) -> Outcome:
    """`run` against the newest accepted one of its workflow. The same run is tried again only after it
    failed.
    """
    if run is None or run > newest:
        return Outcome.QUEUED
    if run < newest:
        return Outcome.STALE
    return Outcome.QUEUED if status in (Status.FAILURE, Status.ERROR) else Outcome.DUPLICATE


def judge_interrupted(attempts: int, newer: str) -> tuple[Status, str]:
    """What a deployment becomes that a dead process left in progress; `newer` is the id of the one queued
    behind it.
    """
    if newer:
        return Status.INACTIVE, superseded_by(newer)
    if attempts >= MAX_ATTEMPTS:
        return Status.ERROR, f"given up: the deployer died in the middle of it {attempts} times [interrupted]"
    return Status.QUEUED, ""


def superseded_by(id: str) -> str:
    """The reason of an inactive deployment."""
    return f"superseded by {id}"
