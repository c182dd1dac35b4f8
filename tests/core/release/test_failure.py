"""Whose fault a failed deployment is."""

from __future__ import annotations

import pytest

from deployer.core.errors import DeployerError, EngineUnavailable, GateFailed, PortTaken
from deployer.core.model import Status
from deployer.core.release.failure import failure_of


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (GateFailed("service web exited"), Status.FAILURE, "service web exited [gate-failed]"),
        (PortTaken("8080 is taken", hint="move"), Status.FAILURE, "8080 is taken [port-taken]"),
        (EngineUnavailable("no answer"), Status.ERROR, "no answer [engine-unavailable]"),
    ],
)
def test_what_was_refused_is_a_failure_and_what_broke_an_error(
    error: DeployerError, status: Status, reason: str
) -> None:
    failure = failure_of(error)
    assert (failure.status, failure.reason) == (status, reason)
