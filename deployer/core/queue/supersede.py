"""Choice between two deployments. In: runs, states, counts. Out: the outcome, for the store to record.

The newest wins by run number and attempt, never by date: deliveries arrive out of order and repeatedly.
"""

from __future__ import annotations

from enum import StrEnum

from deployer.core.model import Run, Status

MAX_ATTEMPTS = 3  # starts of one deployment; a release that crashes the deployer is given up


class Outcome(StrEnum):
    """Outcome of an arriving request."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"


def decide_supersede(run: Run | None, newest: Run, status: Status) -> Outcome:
    """Compares `run` with the newest accepted one of its workflow. The same run is accepted again only after
    a failure.
    """
    if run is None or run > newest:
        return Outcome.QUEUED
    if run < newest:
        return Outcome.STALE
    return Outcome.QUEUED if status in (Status.FAILURE, Status.ERROR) else Outcome.DUPLICATE


def judge_interrupted(attempts: int, newer: str) -> tuple[Status, str]:
    """Returns the new status of a deployment that a dead process left in progress; `newer` is the id of the
    one queued behind it.
    """
    if newer:
        return Status.INACTIVE, superseded_by(newer)
    if attempts >= MAX_ATTEMPTS:
        return Status.ERROR, f"given up: the deployer was killed during it {attempts} times [interrupted]"
    return Status.QUEUED, ""


def superseded_by(id: str) -> str:
    """Returns the reason of an inactive deployment."""
    return f"superseded by {id}"
