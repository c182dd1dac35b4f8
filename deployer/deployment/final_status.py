"""Record of a deployment's final status. In: the deployment, its failure if any. Out: its final record."""

from __future__ import annotations

import logging

from deployer.core.errors import StoreUnavailable
from deployer.core.model import Deployment, Status
from deployer.core.ports.clock import Clock
from deployer.core.ports.store import DeploymentQueue
from deployer.core.release.failure import Failure
from deployer.core.reporting.log_fields import log_fields

_log = logging.getLogger("deployer.deploy")
_SECONDS = 600.0  # a full disk may be cleared meanwhile; later the next start settles the record
_PAUSE = 2.0


def record(
    deployment: Deployment, failure: Failure | None, queue: DeploymentQueue, clock: Clock
) -> Deployment:
    """Stores the final status, retrying while the database cannot be written; raises StoreUnavailable when
    that lasts longer than `_SECONDS`.
    """
    status, reason = (failure.status, failure.reason) if failure else (Status.SUCCESS, "")
    deadline = clock.monotonic() + _SECONDS
    while True:
        try:
            return queue.finish(deployment.id, status, reason, clock.now())
        except StoreUnavailable as error:
            if clock.monotonic() > deadline:
                raise
            told = log_fields("record-waits", deployment)
            _log.error("deployment %s waits to be recorded: %s", deployment.id, error, extra=told)
            clock.sleep(_PAUSE)
