"""What a deploy would do now. In: a release or a wish. Out: its plan. Touches, pulls and stores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployer.core.config.settings import Environment
from deployer.core.image_config import ImageConfig
from deployer.core.model import ObservedState, Release, Wish
from deployer.core.rollout.conflicts import refuse_conflicts
from deployer.core.rollout.desired_state import Application
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.context import World
from deployer.deployment.release_assembly import assembled, complete, project_note


def plan_of_release(environment: Environment, release: Release, world: World, *, tasks: bool = True) -> Plan:
    """What a deploy of the release would do now, or without `tasks` a redeploy of one that came back. Raises
    what it would raise before it touches anything.
    """
    application, observed = look(environment, release, world)
    return plan_of(application, observed, world, tasks=tasks)


def plan_of(application: Application, observed: ObservedState, world: World, *, tasks: bool = True) -> Plan:
    """Raises PortTaken, NameTaken or ExternalMissing where there is something to do that cannot be done."""
    plan = plan_rollout(application, observed, tasks=tasks)
    if not plan.empty:
        refuse_conflicts(application, world.target.occupied(application.project))
    return plan


def look(
    environment: Environment,
    release: Release,
    world: World,
    configs: Mapping[str, ImageConfig] | None = None,
) -> tuple[Application, ObservedState]:
    """The application that the release would be here, and the project as it is now. `configs` as in
    `assembled`.
    """
    application = assembled(environment, release, world, configs=configs)
    return application, world.target.observe(environment.project)


def plan_of_wish(wish: Wish, world: World) -> Plan:
    """What the wish would do now; looks its images and files up."""
    app = world.config.app(wish.app)
    environment = app.environment(wish.environment)
    release = complete(wish, app, environment, world)
    application, observed = look(environment, release, world)
    note = project_note(application, release, app, environment, world)
    plan = plan_of(application, observed, world)
    return replace(plan, notes=(note,)) if note else plan
