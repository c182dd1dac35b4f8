"""Steps that the way forward and the way back of one deployment share. In: a claimed deployment, its job.
Out: what the target and the store have of it afterwards.

Chooses no order: `deploy.py` does.
"""

from __future__ import annotations

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.config.settings import App, Environment
from deployer.core.model import DeployJob, Deployment, EventKind, Kind, Release
from deployer.core.ports.target import ReleaseRollout, TargetSession
from deployer.core.release.failure import Failure
from deployer.core.reporting.deployment_text import describe
from deployer.deployment.availability_monitor import AvailabilityMonitor
from deployer.deployment.confirmation import await_confirmation
from deployer.deployment.context import DeployContext
from deployer.deployment.journal import DeploymentJournal


class DeploymentSteps:
    """Deployment with its journal, its monitor and its state."""

    def __init__(self, deployment: Deployment, job: DeployJob, context: DeployContext) -> None:
        clock = context.clock
        self.deployment, self.job, self.context = deployment, job, context
        self.journal = DeploymentJournal(deployment, context.store.events, clock, job.variables)
        self.availability = AvailabilityMonitor(context.prober, clock, self.journal)
        self.deadline = clock.monotonic() + context.config.deadline + job.confirm
        self.touched = False
        self.one_way = False  # a schema changed that the release before cannot work with
        self._session: TargetSession | None = None

    @property
    def app(self) -> App:
        return self.context.config.app(self.deployment.app)

    @property
    def environment(self) -> Environment:
        return self.app.environment(self.deployment.environment)

    @property
    def session(self) -> TargetSession:
        """The deployment's session, opened at its first use. Raises NotFound for an app that left the
        settings.
        """
        if self._session is None:
            self._session = self.context.target.open(self.deployment, self.job, self.journal)
        return self._session

    def serving(self) -> Deployment | None:
        return self.context.store.deployments.serving(self.app.name, self.environment.name)

    def begin(self, release: Release | None, *, forward: bool) -> ReleaseRollout:
        return self.session.begin(release, self.deadline, forward=forward)

    def touch(self, changes: bool) -> None:
        """Marks that the target is about to be changed; without `changes` nobody can notice."""
        self.touched = True
        if changes:
            self.availability.touch()

    def verify(self) -> None:
        """Users must bear the release, and the caller may have the last word, while the old one stands by."""
        self.availability.judge()
        if seconds := self.job.confirm:
            confirmations, clock = self.context.store.confirmations, self.context.clock
            await_confirmation(self.deployment.id, seconds, confirmations, clock, self.journal)
            self.availability.judge(wait=0.0)

    def drain(self, rollout: ReleaseRollout) -> Failure | None:
        """The failure of the drain: the new release serves, so it takes nothing back."""
        with self.journal.attempt() as drained:
            rollout.drain()
        self.availability.drained()
        return drained.failure

    def clear_up(self, rollout: ReleaseRollout, undrained: Failure | None) -> None:
        """Removes what the release replaced, and ends the rollout. Only the end may raise."""
        untidy = undrained
        if untidy is None:
            with self.journal.attempt() as taken:
                rollout.take_out()
            untidy = taken.failure
        if untidy:
            told = f"the release serves, clearing up failed: {untidy.reason}"
            self.journal.record(EventKind.UNTIDY, told)
        rollout.complete(self.availability)

    def run_hooks_before(self, rollout: ReleaseRollout, tasks: bool) -> None:
        """Runs hooks before anything is touched. In a rollback by hand the newer release undoes its work."""
        if self.job.kind is not Kind.ROLLBACK:
            ran = tasks and rollout.run_hooks(HookMoment.PRE_DEPLOY, self.deadline)
            self.one_way = ran and rollout.one_way
        elif newer := self.serving():
            undone = self.begin(self.release_of(newer), forward=False)
            undone.run_hooks(HookMoment.ON_ROLLBACK, self.deadline)

    def release_of(self, deployment: Deployment) -> Release:
        """The release of a stored deployment; the journal hides its variables from here on."""
        release = self.context.store.releases.get(deployment.release)
        self.journal.hide(release.variables)
        return release

    def forget_hooks(self) -> None:
        with self.journal.attempt():
            self.session.forget_hooks()

    def close(self) -> None:
        if self._session:
            self._session.close()

    def keep_availability(self) -> None:
        """Stores the figures that the deployment's own requests measured."""
        if figures := self.availability.stop():
            self.context.store.deployments.note_measured(self.deployment.id, figures)

    def report(self, deployment: Deployment) -> None:
        """Tells GitHub the status; an app that left the settings has no repository to tell."""
        if deployment.app in self.context.config.apps:
            url = f"{self.context.config.url}/api/v1/deployments/{deployment.id}"
            self.context.github.report(self.app.repository, deployment, url, describe(deployment))
