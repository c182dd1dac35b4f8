"""Steps that the way forward and the way back of one deployment share. In: a claimed deployment, its job.
Out: what the target and the store have of it afterwards.

Chooses no order: `deploy.py` does.
"""

from __future__ import annotations

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.compose.project_names import refuse_foreign
from deployer.core.config.settings import App, Environment
from deployer.core.model import DeployJob, Deployment, EventKind, Kind, ObservedState, Release
from deployer.core.release.failure import Failure
from deployer.core.reporting.deployment_text import describe
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.availability_monitor import AvailabilityMonitor
from deployer.deployment.confirmation import await_confirmation
from deployer.deployment.containers.deploy_hooks import DeployHooks
from deployer.deployment.context import DeployContext
from deployer.deployment.journal import DeploymentJournal
from deployer.deployment.release.release_assembly import assembled
from deployer.deployment.rollout.batches import run_batches
from deployer.deployment.rollout.plan_execution import Rollout
from deployer.deployment.rollout.preflight import tell_written
from deployer.deployment.rollout.reconcile import Interference, Reconciler
from deployer.deployment.rollout.rollout_setup import RolloutSetup
from deployer.deployment.rollout.startup_times import StartupTimes


class DeploymentSteps:
    """One deployment with its journal, its monitor and its state."""

    def __init__(self, deployment: Deployment, job: DeployJob, context: DeployContext) -> None:
        target, store, clock = context.target, context.store, context.clock
        self.deployment, self.job, self.context = deployment, job, context
        self.journal = DeploymentJournal(deployment, store, clock, job.variables)
        self.hooks = DeployHooks(deployment.id, target, clock, self.journal)
        self.availability = AvailabilityMonitor(target, clock, self.journal)
        self.startup_times = StartupTimes(deployment, store, clock)
        self.interference = Interference()
        self.deadline = clock.monotonic() + context.config.deadline + job.confirm
        self.touched = False
        self.one_way = False  # a schema changed that the release before cannot work with
        self._unserved: set[str] = set()  # ids of replicas that were made and never served

    @property
    def app(self) -> App:
        return self.context.config.app(self.deployment.app)

    @property
    def environment(self) -> Environment:
        return self.app.environment(self.deployment.environment)

    def serving(self) -> Deployment | None:
        return self.context.store.serving(self.app.name, self.environment.name)

    def plan(
        self,
        kind: EventKind,
        desired: DesiredState,
        *,
        tasks: bool,
        seen: ObservedState | None = None,
        returning: bool = False,
    ) -> tuple[Plan, ObservedState]:
        """`seen`: an observation of this moment, where there is one."""
        observed = seen or self.context.target.observe(desired.project)
        if self.serving() is None:
            refuse_foreign(desired.project, observed)
        self.interference.note(observed, returning=returning)
        plan = plan_rollout(desired, observed, tasks=tasks)
        self.journal.record(kind, str(plan))
        tell_written(plan, observed, self.context.target, self.journal)
        return plan, observed

    def begin(self, desired: DesiredState, plan: Plan, observed: ObservedState) -> Rollout:
        self.touched = True
        if not plan.empty:
            self.availability.touch()
        setup = RolloutSetup(
            desired,
            self.context.target,
            self.context.clock,
            self.journal,
            self.startup_times,
            self._unserved,
            self.deadline,
        )
        return Rollout(setup, plan, observed)

    def verify(self) -> None:
        """Users must bear the release, and the caller may have the last word, while the old one stands by."""
        self.availability.judge()
        if seconds := self.job.confirm:
            store, clock = self.context.store, self.context.clock
            await_confirmation(self.deployment.id, seconds, store, clock, self.journal)
            self.availability.judge(wait=0.0)

    def drain(self, rollout: Rollout) -> Failure | None:
        """The failure of the drain: the new release serves, so it takes nothing back."""
        with self.journal.attempt() as drained:
            rollout.drain()
        self.availability.drained()
        return drained.failure

    def clear_up(self, rollout: Rollout, undrained: Failure | None) -> None:
        """Removes superseded replicas, runs later batches, and undoes another program's changes."""
        untidy = undrained
        if untidy is None:
            with self.journal.attempt() as taken:
                rollout.take_out()
            untidy = taken.failure
        if untidy:
            self.journal.record(EventKind.UNTIDY, f"the release serves, clearing up failed: {untidy.reason}")
        if rollout.plan.later_batches:
            run_batches(rollout.setup, self.availability)
        if not rollout.plan.empty:
            Reconciler(rollout.setup, [rollout.plan]).run_if_needed(self.interference)

    def run_hooks_before(self, desired: DesiredState, tasks: bool) -> None:
        """Runs hooks before anything is touched. In a rollback by hand the newer release undoes its work."""
        if self.job.kind is not Kind.ROLLBACK:
            ran = tasks and self.hooks.run(desired, HookMoment.PRE_DEPLOY, self.deadline)
            self.one_way = ran and desired.one_way
        elif newer := self.serving():
            self.hooks.run(self.stored(newer), HookMoment.ON_ROLLBACK, self.deadline)

    def stored(self, deployment: Deployment) -> DesiredState:
        """The desired state of a stored deployment's release."""
        release = self.context.store.release(deployment.release)
        self.journal.hide(release.variables)
        return self.desired(release)

    def desired(self, release: Release, judged: bool = False) -> DesiredState:
        """`judged`: under the settings of today, with the request's login."""
        login = self.job.credentials if judged else None
        return assembled(self.environment, release, self.context, judged=judged, credentials=login)

    def forget_hooks(self) -> None:
        with self.journal.attempt():
            self.hooks.clear(self.environment.project)

    def keep_availability(self) -> None:
        """Stores the figures that the deployment's own requests measured."""
        if figures := self.availability.stop():
            self.context.store.note_measured(self.deployment.id, figures)

    def report(self, deployment: Deployment) -> None:
        """Tells GitHub the status; an app that left the settings has no repository to tell."""
        if deployment.app in self.context.config.apps:
            url = f"{self.context.config.url}/api/v1/deployments/{deployment.id}"
            self.context.github.report(self.app.repository, deployment, url, describe(deployment))
