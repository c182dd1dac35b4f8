"""Dry run of a deploy. In: a release or a deploy job. Out: its plan. Never changes, pulls or
stores anything.
"""

from __future__ import annotations

from dataclasses import replace

from deployer.core.config.settings import Environment
from deployer.core.model import DeployJob, Release
from deployer.core.rollout.plan import Plan
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_assembly import changed_names, complete, with_present_variables


def plan_of_release(
    environment: Environment, release: Release, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan of deploying the release now; without `tasks`, the plan of redeploying a restored one.
    Raises the errors that the deploy would raise before its first change.
    """
    present = with_present_variables(release, environment, context)
    plan = context.target.dry_run(environment, present, tasks=tasks).plan
    return _told(plan, release, present)


def drift_from(
    environment: Environment, release: Release, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan from the observed state to the serving release, whoever holds its ports now."""
    present = with_present_variables(release, environment, context)
    plan = context.target.dry_run(environment, present, tasks=tasks, conflicts=False).plan
    return _told(plan, release, present)


def _told(plan: Plan, before: Release, after: Release) -> Plan:
    """Returns the plan with a note about variables that changed since the release was deployed."""
    changed = ", ".join(changed_names(before, after))
    return replace(plan, notes=(*plan.notes, f"changed variables: {changed}")) if changed else plan


def plan_of_job(job: DeployJob, context: DeployContext) -> Plan:
    """Returns the plan of the deploy job, after resolving its images and reading its files."""
    app = context.config.app(job.app)
    environment = app.environment(job.environment)
    release = complete(job, app, environment, context)
    return context.target.dry_run(environment, release).plan
