"""Recovery of an environment whose deployment was given up. In: a deployment that no process will finish.
Out: the release before serves, and the journal and the log say so. Never raises.
"""

from __future__ import annotations

import logging

from deployer.core.errors import DeployerError
from deployer.core.model import DeployJob, Deployment, EventKind, Kind, Trigger
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext
from deployer.deployment.deploy import FORWARD_ONLY, DeploymentRun
from deployer.deployment.steps import DeploymentSteps

_log = logging.getLogger("deployer.deploy")


def restore(deployment: Deployment, context: DeployContext) -> None:
    """Brings back what served before a deployment that was given up."""
    job = DeployJob(deployment.app, deployment.environment, Kind.ROLLBACK, Trigger.RECOVERY, "deployer")
    steps = DeploymentSteps(deployment, job, context)
    try:
        fields = log_fields("restored", deployment)
        _log.warning("deployment %s: %s", deployment.id, _restore(steps), extra=fields)
    except DeployerError as error:
        fields = log_fields("not-restored", deployment)
        _log.error("deployment %s: %s", deployment.id, error.diagnostics(), extra=fields)
    except Exception:
        fields = log_fields("bug", deployment)
        _log.exception("deployment %s could not be undone", deployment.id, extra=fields)
    steps.report(deployment)


def _restore(steps: DeploymentSteps) -> str:
    project = steps.environment.project
    with steps.context.target.exclusive(project):
        told = FORWARD_ONLY if _went_one_way(steps) else DeploymentRun(steps).restore()
        steps.journal.record(EventKind.RESTORED, told)
        steps.session.forget_hooks()
        return told


def _went_one_way(steps: DeploymentSteps) -> bool:
    """True if a process that died ran the hook after which a release cannot go back."""
    if not steps.deployment.release:
        return False
    release = steps.release_of(steps.deployment)
    return steps.begin(release, forward=False).one_way and steps.session.ran_hooks()
