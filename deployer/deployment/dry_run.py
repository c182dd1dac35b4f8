"""Dry run of a deploy. In: a release or a deploy job. Out: its plan. Never changes, pulls or
stores anything.
"""

from __future__ import annotations

from deployer.core.config.settings import Environment
from deployer.core.model import DeployJob, Release
from deployer.core.rollout.plan import Plan
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_assembly import complete


def plan_of_release(
    environment: Environment, release: Release, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan of deploying the release now; without `tasks`, the plan of redeploying a restored one.
    Raises the errors that the deploy would raise before its first change.
    """
    return context.target.dry_run(environment, release, tasks=tasks).plan


def drift_from(
    environment: Environment, release: Release, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan from the observed state to the serving release, whoever holds its ports now."""
    return context.target.dry_run(environment, release, tasks=tasks, conflicts=False).plan


def plan_of_job(job: DeployJob, context: DeployContext) -> Plan:
    """Returns the plan of the deploy job, after resolving its images and reading its files."""
    app = context.config.app(job.app)
    environment = app.environment(job.environment)
    release = complete(job, app, environment, context)
    return context.target.dry_run(environment, release).plan
