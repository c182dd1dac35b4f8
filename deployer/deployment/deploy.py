"""Deployment of one release. In: a claimed deployment. Out: its record with a final status. Never raises.

A release is complete before anything is touched. When the gate refuses it, the release that served before is
rolled out again from what is on the machine: a start-first service of it never stopped serving.
"""

from __future__ import annotations

from dataclasses import replace

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.errors import DeployerError
from deployer.core.model import DeployJob, Deployment, EventKind, Kind
from deployer.core.release.failure import Failure
from deployer.core.rollout.conflicts import beside, refuse_conflicts
from deployer.core.rollout.desired_state import DesiredState, nothing
from deployer.deployment.containers.image_pull import ImagePull
from deployer.deployment.context import DeployContext
from deployer.deployment.final_status import record
from deployer.deployment.release.release_assembly import refuse_other_images, tasks_run, warn
from deployer.deployment.release.release_resolution import resolve_release
from deployer.deployment.rollout.preflight import refuse_taken
from deployer.deployment.rollout.reconcile import Reconciler
from deployer.deployment.steps import DeploymentSteps

FORWARD_ONLY = (
    "its pre-deploy hook ran, and x-deployer.rollback forbids going back: what served goes on, deploy a fix"
)
_DISTURBED = "somebody else, perhaps `docker compose up` by hand, changed the project's containers meanwhile"
_NOTHING_BEFORE = "there was no release before, nothing runs"
_LOCK_SECONDS = 120.0  # for the child of a killed deployer, which holds the project


def deploy(deployment: Deployment, job: DeployJob, context: DeployContext) -> Deployment:
    """Carries out a claimed deployment; its final record."""
    steps = DeploymentSteps(deployment, job, context)
    steps.report(deployment)
    with steps.journal.attempt() as attempt:
        attempt.failure = DeploymentRun(steps).deploy_or_restore()
    with steps.journal.attempt():
        steps.keep_availability()
    with steps.journal.attempt():
        steps.startup_times.keep()
    ended = record(deployment, attempt.failure, context.store, context.clock)
    steps.report(ended)
    return ended


class DeploymentRun:
    """The order of one deployment's steps."""

    def __init__(self, steps: DeploymentSteps) -> None:
        self.steps = steps
        self.job, self.context, self.journal = steps.job, steps.context, steps.journal
        self.tried: DesiredState | None = None

    def deploy_or_restore(self) -> Failure | None:
        """The failure of the release, with what serves instead."""
        steps = self.steps
        wait = min(_LOCK_SECONDS, steps.deadline - self.context.clock.monotonic())
        with self.context.target.exclusive(steps.environment.project, wait):
            with self.journal.attempt() as forward:
                self._deploy()
            steps.forget_hooks()
            if forward.failure is None or not steps.touched:
                return forward.failure
            reason = forward.failure.reason
            self.journal.record(EventKind.FAILED, reason)
            if steps.one_way:
                return replace(forward.failure, reason=f"{reason}; {FORWARD_ONLY}")
            told = self.restore()
            steps.forget_hooks()
            why = f"; {_DISTURBED}" if steps.interference.seen else ""
            return replace(forward.failure, reason=f"{reason}; {told}{why}")

    def _deploy(self) -> None:
        """Resolves and pulls the release while nothing is touched, then rolls it out."""
        steps, job, context, journal = self.steps, self.job, self.context, self.journal
        release = resolve_release(steps.deployment, job, steps.app, context, journal)
        tasks = tasks_run(job, release.id, context, steps.deployment.id)
        desired = self.tried = steps.desired(release, judged=True)
        if job.kind is not Kind.ROLLBACK:  # the edge still has the certificates that it served
            warn(desired, release, steps.app, steps.environment, context, journal)
        # Before a request to what may be another project's.
        unchanged = refuse_taken(desired, context.target, tasks)
        steps.availability.start(desired.endpoints)
        app, environment, deadline = steps.app, steps.environment, steps.deadline
        ImagePull(context, app, environment, job.credentials, journal, deadline).pull(desired)

        plan, observed = steps.plan(EventKind.PLAN, desired, tasks=tasks, seen=unchanged)
        if not plan.empty:
            refuse_conflicts(desired, occupied := context.target.occupied(desired.project))
            desired = beside(desired, occupied)
            steps.run_hooks_before(desired, tasks)
        rollout = steps.begin(desired, plan, observed)
        rollout.bring_in()
        now = observed if plan.empty else context.target.observe(desired.project)
        refuse_other_images(desired, now, context.target)
        steps.verify()
        undrained = steps.drain(rollout)
        steps.availability.judge(wait=0.0)
        steps.clear_up(rollout, undrained)
        if not plan.empty:
            with journal.best_effort("the release serves, "):
                steps.hooks.run(desired, HookMoment.POST_DEPLOY, steps.deadline)

    def _restore(self, previous: DesiredState) -> None:
        """Rolls out the release that served before. Waits for another program's work on the containers."""
        steps = self.steps
        plan, observed = steps.plan(EventKind.ROLLBACK, previous, tasks=False, returning=True)
        rollout = steps.begin(previous, plan, observed)
        try:
            rollout.bring_in()
        except DeployerError:
            if not Reconciler(rollout.setup, [plan]).run_if_needed(steps.interference):
                raise
        steps.clear_up(rollout, steps.drain(rollout))

    def restore(self) -> str:
        """Brings back what served before, with a deadline of its own; says how that went."""
        steps = self.steps
        steps.deadline = self.context.clock.monotonic() + self.context.config.deadline
        before = steps.serving()
        with self.journal.attempt() as back:
            if self.tried:
                with self.journal.best_effort():
                    steps.hooks.run(self.tried, HookMoment.ON_ROLLBACK, steps.deadline)
            self._restore(steps.stored(before) if before else nothing(steps.environment.project))
        if back.failure:
            return f"and the release before did not come back: {back.failure.reason}"
        return f"{before.revision[:7]} serves as before" if before else _NOTHING_BEFORE
