"""Runs deploy jobs from the queue, one after another. In: the queue. Out: finished deployments.

A deployment that a dead process left in progress goes back to the queue before the first claim: its next run
observes the current state and plans only the missing steps.
"""

from __future__ import annotations

import contextlib
import logging

from deployer.core.model import Deployment, Status
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext
from deployer.deployment.crash_recovery import restore
from deployer.deployment.deploy import deploy
from deployer.worker.pruning import prune

_log = logging.getLogger("deployer.worker")


class JobRunner:
    """Claims and deploys; several threads may share it. The store hands each job to one of them."""

    def __init__(self, context: DeployContext) -> None:
        self._context = context
        self._given_up: list[Deployment] = []

    def recover(self) -> None:
        """Requeues the deployments that a dead process left in progress. A deployment without attempts left
        is remembered, and the first run restores its environment.
        """
        for deployment in self._context.store.queue.requeue_interrupted(self._context.clock.now()):
            _log.warning(
                "deployment %s was interrupted and is now %s",
                deployment.id,
                deployment.status,
                extra=log_fields("deployment-interrupted", deployment),
            )
            if deployment.status is Status.ERROR:
                self._given_up.append(deployment)

    def run_once(self) -> bool:
        """Restores the environment of a deployment without attempts left, otherwise deploys the next job.
        Returns False if there is none.
        """
        with contextlib.suppress(IndexError):
            restore(self._given_up.pop(), self._context)
            return True
        claimed = self._context.store.queue.claim(self._context.clock.now())
        if claimed is None:
            return False
        begun, job = claimed
        _log.info(
            "deployment %s of %s/%s: attempt %d",
            begun.id,
            begun.app,
            begun.environment,
            begun.attempts,
            extra=log_fields("deployment-begun", begun, kind=begun.kind, revision=begun.revision),
        )
        deployment = deploy(begun, job, self._context)
        if app := self._context.config.apps.get(deployment.app):
            prune(app, self._context)
        _log.info(
            "deployment %s of %s/%s: %s",
            deployment.id,
            deployment.app,
            deployment.environment,
            deployment.status,
            extra=log_fields("deployment-ended", deployment, reason=deployment.reason),
        )
        return True
