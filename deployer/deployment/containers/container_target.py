"""Containers of one host as a target. In: releases, environments. Out: sessions, dry runs, maintenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from deployer.core.config.settings import App, Environment
from deployer.core.model import DeployJob, Deployment, ObservedState, Release
from deployer.core.ports.journal import Journal
from deployer.core.ports.target import Pruned
from deployer.core.rollout.changes import DryRun, changes_of
from deployer.core.rollout.conflicts import refuse_conflicts
from deployer.core.rollout.desired_state import nothing
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.containers import maintenance
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.container_rollout import ContainerRollout, SharedWork
from deployer.deployment.containers.deploy_hooks import DeployHooks
from deployer.deployment.containers.image_pruning import prune_images
from deployer.deployment.containers.release_state import (
    assembled,
    blank_note,
    present_configs,
    project_note,
)
from deployer.deployment.rollout.startup_times import StartupTimes


class ContainerSession:
    """Implements `TargetSession`."""

    def __init__(self, work: SharedWork) -> None:
        self._work = work

    def begin(self, release: Release | None, deadline: float, *, forward: bool) -> ContainerRollout:
        work = self._work
        if release is None:
            desired = nothing(work.environment.project)
        else:
            login = work.job.credentials if forward else None
            desired = assembled(work.environment, release, work.context, judged=forward, credentials=login)
        return ContainerRollout(work, release, desired, deadline, forward)

    @property
    def disturbed(self) -> bool:
        return self._work.interference.seen

    def ran_hooks(self) -> bool:
        hooks = self._work.context.host.hooks
        return hooks.has_hooks(self._work.environment.project, self._work.deployment.id)

    def forget_hooks(self) -> None:
        self._work.hooks.clear(self._work.environment.project)

    def close(self) -> None:
        self._work.startup_times.keep()


@dataclass(frozen=True)
class ContainerTarget:
    """Implements `Target`."""

    context: ContainerContext

    def answers(self) -> bool:
        return self.context.host.runtime.answers()

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        return self.context.host.locks.exclusive(project, wait)

    def observe(self, project: str) -> ObservedState:
        return self.context.host.runtime.observe(project)

    def open(self, deployment: Deployment, job: DeployJob, journal: Journal) -> ContainerSession:
        context = self.context
        app = context.config.app(deployment.app)
        return ContainerSession(
            SharedWork(
                context,
                deployment,
                job,
                app,
                app.environment(deployment.environment),
                journal,
                DeployHooks(deployment.id, context.host, context.clock, journal),
                StartupTimes(deployment, context.store.startup_durations, context.clock),
            )
        )

    def dry_run(
        self,
        environment: Environment,
        release: Release,
        *,
        tasks: bool = True,
        conflicts: bool = True,
        offline: bool = False,
    ) -> DryRun:
        context = self.context
        configs = present_configs(release, environment, context) if offline else None
        application = assembled(environment, release, context, configs=configs)
        observed = self.observe(environment.project)
        app = context.config.app(release.app)
        notes = [] if offline else [project_note(application, release, app, environment, context)]
        notes += [blank_note(application, release)] if conflicts and not offline else []
        plan = plan_rollout(application, observed, tasks=tasks)
        if conflicts and not plan.empty:
            refuse_conflicts(application, context.host.runtime.occupied(application.project))
        return DryRun(replace(plan, notes=tuple(filter(None, notes))), changes_of(application, observed))

    def maintenance(
        self, app: App, environment: Environment, newest: Deployment
    ) -> Sequence[Callable[[], object]]:
        context = self.context
        return (
            partial(maintenance.reconcile_after, newest, environment, context),
            partial(maintenance.renew, app, environment, context),
            partial(maintenance.reroute, app, environment, context),
        )

    def prune(self, releases: Callable[[], Sequence[Release]]) -> Pruned:
        return prune_images(releases, self.context)
