"""Rollout of one release as containers of one host. In: a desired state, what the deployment's rollouts
share. Out: the release serves, or the error that stopped it.

Chooses no order between its methods: `deployment/deploy.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.compose.endpoints import Endpoint
from deployer.core.compose.project_names import refuse_foreign
from deployer.core.config.settings import App, Environment
from deployer.core.errors import DeployerError
from deployer.core.model import DeployJob, Deployment, EventKind, Kind, ObservedState, Release
from deployer.core.ports.journal import Journal
from deployer.core.ports.target import DowntimeBudget
from deployer.core.rollout.conflicts import beside, refuse_conflicts
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.deploy_hooks import DeployHooks
from deployer.deployment.containers.image_pull import ImagePull
from deployer.deployment.containers.release_state import blank_note, project_note, refuse_other_images
from deployer.deployment.rollout.batches import run_batches
from deployer.deployment.rollout.plan_execution import Rollout
from deployer.deployment.rollout.preflight import refuse_taken, tell_written
from deployer.deployment.rollout.reconcile import Interference, Reconciler
from deployer.deployment.rollout.rollout_setup import RolloutSetup
from deployer.deployment.rollout.startup_times import StartupTimes


@dataclass(frozen=True)
class SharedWork:
    """Everything that the rollouts of one deployment, forward and back, share."""

    context: ContainerContext
    deployment: Deployment
    job: DeployJob
    app: App
    environment: Environment
    journal: Journal
    hooks: DeployHooks
    startup_times: StartupTimes
    interference: Interference = field(default_factory=Interference)
    unserved: set[str] = field(default_factory=set)  # ids of replicas that were made and never served


class ContainerRollout:
    """Implements `ReleaseRollout`. `release`: None for an environment without services."""

    def __init__(
        self, work: SharedWork, release: Release | None, desired: DesiredState, deadline: float, forward: bool
    ) -> None:
        self._work = work
        self._release = release
        self._desired = desired
        self._deadline = deadline
        self._forward = forward
        self._host, self._journal = work.context.host, work.journal
        self._unchanged: ObservedState | None = None  # an observation of this moment, where there is one
        self._rollout: Rollout | None = None
        self.endpoints: Sequence[Endpoint] = desired.endpoints
        self.one_way = desired.one_way

    def check(self, *, tasks: bool) -> None:
        if self._work.job.kind is not Kind.ROLLBACK:  # the edge still has the certificates that it served
            self._warn()
        self._unchanged = refuse_taken(self._desired, self._host.runtime, tasks)

    def _warn(self) -> None:
        """Records notices about certificates, the project name and blank variables."""
        work = self._work
        if warning := self._host.router.check_edge(self._desired, work.context.clock.now()):
            self._journal.record(EventKind.CERTIFICATE, warning)
        if self._release is None:
            return
        note = project_note(self._desired, self._release, work.app, work.environment, work.context)
        if note:
            self._journal.record(EventKind.PROJECT, note)
        if blank := blank_note(self._desired, self._release):
            self._journal.record(EventKind.BLANK, blank)

    def fetch(self) -> None:
        work = self._work
        login = work.job.credentials
        ImagePull(work.context, work.app, work.environment, login, self._journal, self._deadline).pull(
            self._desired
        )

    def plan(self, *, tasks: bool) -> bool:
        desired, work = self._desired, self._work
        observed = self._unchanged or self._host.runtime.observe(desired.project)
        if work.context.store.deployments.serving(work.app.name, work.environment.name) is None:
            refuse_foreign(desired.project, observed)
        work.interference.note(observed, returning=not self._forward)
        plan = plan_rollout(desired, observed, tasks=tasks)
        self._journal.record(EventKind.PLAN if self._forward else EventKind.ROLLBACK, str(plan))
        tell_written(plan, observed, self._host.files, self._journal)
        if self._forward and not plan.empty:
            refuse_conflicts(desired, occupied := self._host.runtime.occupied(desired.project))
            self._desired = beside(desired, occupied)
        self._rollout = Rollout(self._setup, plan, observed)
        return not plan.empty

    def run_hooks(self, moment: HookMoment, deadline: float) -> bool:
        return self._work.hooks.run(self._desired, moment, deadline)

    def bring_in(self) -> None:
        """On the way back, waits for another program's work on the containers."""
        rollout = self._planned
        try:
            rollout.bring_in()
        except DeployerError:
            if self._forward or not self._reconcile():
                raise
        if self._forward:
            observed = rollout.observed if rollout.plan.empty else rollout.setup.observe()
            refuse_other_images(self._desired, observed, self._host.images)

    def drain(self) -> None:
        self._planned.drain()

    def take_out(self) -> None:
        self._planned.take_out()

    def complete(self, budget: DowntimeBudget) -> None:
        """Runs later batches, and undoes another program's changes."""
        rollout = self._planned
        if rollout.plan.later_batches:
            run_batches(rollout.setup, budget)
        if not rollout.plan.empty:
            self._reconcile()

    def _reconcile(self) -> bool:
        rollout = self._planned
        return Reconciler(rollout.setup, [rollout.plan]).run_if_needed(self._work.interference)

    @property
    def _planned(self) -> Rollout:
        """The planned rollout. Raises LookupError before `plan`."""
        if self._rollout is None:
            raise LookupError(f"no plan was made for {self._desired.project}")
        return self._rollout

    @property
    def _setup(self) -> RolloutSetup:
        work = self._work
        return RolloutSetup(
            self._desired,
            self._host,
            work.context.clock,
            self._journal,
            work.startup_times,
            work.unserved,
            self._deadline,
        )
