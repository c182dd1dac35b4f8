"""Error of a deployment → its final status. In: the error. Out: GitHub's status and the reason."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.errors import DeployerError
from deployer.core.model import Status


@dataclass(frozen=True)
class Failure:
    """Final status and reason: `failure` if the release was refused, `error` if something around it broke."""

    status: Status
    reason: str


def failure_of(error: DeployerError) -> Failure:
    """Returns the failure, its reason with the error's code; the reason may still hold secrets."""
    return Failure(Status(error.outcome), f"{error} [{error.code}]")
