"""Dry run of a deploy. In: a release or a deploy job. Out: its plan. Never changes, pulls or
stores anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployer.core.config.settings import Environment
from deployer.core.image_config import ImageConfig
from deployer.core.model import DeployJob, ObservedState, Release
from deployer.core.rollout.conflicts import refuse_conflicts
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_assembly import assembled, complete, project_note


def plan_of_release(
    environment: Environment, release: Release, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan of deploying the release now; without `tasks`, the plan of redeploying a restored one.
    Raises the errors that the deploy would raise before its first change.
    """
    application, observed = look(environment, release, context)
    return plan_of(application, observed, context, tasks=tasks)


def plan_of(
    application: DesiredState, observed: ObservedState, context: DeployContext, *, tasks: bool = True
) -> Plan:
    """Returns the plan. Raises PortTaken, NameTaken or ExternalMissing if it has steps that a conflict would
    stop.
    """
    plan = plan_rollout(application, observed, tasks=tasks)
    if not plan.empty:
        refuse_conflicts(application, context.target.occupied(application.project))
    return plan


def look(
    environment: Environment,
    release: Release,
    context: DeployContext,
    configs: Mapping[str, ImageConfig] | None = None,
) -> tuple[DesiredState, ObservedState]:
    """Returns the release's desired state in this environment and the project's observed state. `configs` as
    in `assembled`.
    """
    application = assembled(environment, release, context, configs=configs)
    return application, context.target.observe(environment.project)


def plan_of_job(job: DeployJob, context: DeployContext) -> Plan:
    """Returns the plan of the deploy job, after resolving its images and reading its files."""
    app = context.config.app(job.app)
    environment = app.environment(job.environment)
    release = complete(job, app, environment, context)
    application, observed = look(environment, release, context)
    note = project_note(application, release, app, environment, context)
    plan = plan_of(application, observed, context)
    return replace(plan, notes=(note,)) if note else plan
