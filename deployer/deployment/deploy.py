"""Deployment of one release. In: a claimed deployment. Out: its record with a final status. Never raises.

A release is complete before anything is touched. When the target refuses it, the release that served before
is rolled out again from what is there: what replaces it never served, so it may never have stopped serving.
"""

from __future__ import annotations

from dataclasses import replace

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.model import DeployJob, Deployment, EventKind
from deployer.core.ports.target import ReleaseRollout
from deployer.core.release.failure import Failure
from deployer.deployment.context import DeployContext
from deployer.deployment.final_status import record
from deployer.deployment.release.release_assembly import tasks_run
from deployer.deployment.release.release_resolution import resolve_release
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
        steps.close()
    ended = record(deployment, attempt.failure, context.store.queue, context.clock)
    steps.report(ended)
    return ended


class DeploymentRun:
    """The order of one deployment's steps."""

    def __init__(self, steps: DeploymentSteps) -> None:
        self.steps = steps
        self.job, self.context, self.journal = steps.job, steps.context, steps.journal
        self.tried: ReleaseRollout | None = None

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
            why = f"; {_DISTURBED}" if steps.session.disturbed else ""
            return replace(forward.failure, reason=f"{reason}; {told}{why}")

    def _deploy(self) -> None:
        """Resolves and fetches the release while nothing is touched, then rolls it out."""
        steps, job, context = self.steps, self.job, self.context
        release = resolve_release(steps.deployment, job, steps.app, context, self.journal)
        tasks = tasks_run(job, job.release or release.id, context, steps.deployment.id)
        rollout = self.tried = steps.begin(release, forward=True)
        rollout.check(tasks=tasks)
        steps.availability.start(rollout.endpoints)
        rollout.fetch()

        changes = rollout.plan(tasks=tasks)
        if changes:
            steps.run_hooks_before(rollout, tasks)
        steps.touch(changes)
        rollout.bring_in()
        steps.verify()
        undrained = steps.drain(rollout)
        steps.availability.judge(wait=0.0)
        steps.clear_up(rollout, undrained)
        if changes:
            with self.journal.best_effort("the release serves, "):
                rollout.run_hooks(HookMoment.POST_DEPLOY, steps.deadline)

    def restore(self) -> str:
        """Brings back what served before, with a deadline of its own; says how that went."""
        steps = self.steps
        steps.deadline = self.context.clock.monotonic() + self.context.config.deadline
        before = steps.serving()
        with self.journal.attempt() as back:
            if self.tried:
                with self.journal.best_effort():
                    self.tried.run_hooks(HookMoment.ON_ROLLBACK, steps.deadline)
            self._restore(before)
        if back.failure:
            return f"and the release before did not come back: {back.failure.reason}"
        return f"{before.revision[:7]} serves as before" if before else _NOTHING_BEFORE

    def _restore(self, previous: Deployment | None) -> None:
        """Rolls out the release that served before; without one, nothing runs afterwards."""
        steps = self.steps
        rollout = steps.begin(steps.release_of(previous) if previous else None, forward=False)
        steps.touch(rollout.plan(tasks=False))
        rollout.bring_in()
        steps.clear_up(rollout, steps.drain(rollout))
