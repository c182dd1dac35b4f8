"""Deployment of one release. In: a claimed deployment. Out: its record with a final status. Never raises.

A release is complete before anything is touched. When the gate refuses it, the release that served before is
rolled out again from what is on the machine: a start-first service of it never stopped serving.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from deployer.core.auth.job_authorization import judge_job, judge_release
from deployer.core.compose.deploy_hooks import ON_ROLLBACK, POST_DEPLOY, PRE_DEPLOY
from deployer.core.compose.project_names import refuse_foreign
from deployer.core.config.settings import App, Environment
from deployer.core.errors import DeployerError, StoreUnavailable
from deployer.core.model import DeployJob, Deployment, Kind, ObservedState, Release, Status
from deployer.core.redaction import redact, redact_secrets
from deployer.core.release.failure import Failure, failure_of
from deployer.core.reporting.deployment_text import describe
from deployer.core.reporting.log_fields import log_fields
from deployer.core.rollout.conflicts import beside, refuse_conflicts
from deployer.core.rollout.desired_state import DesiredState, nothing
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment import release_assembly as releases
from deployer.deployment.availability_monitor import AvailabilityMonitor
from deployer.deployment.batches import run_batches
from deployer.deployment.branch_check import check_branch
from deployer.deployment.confirmation import await_confirmation
from deployer.deployment.context import DeployContext
from deployer.deployment.deploy_hooks import DeployHooks
from deployer.deployment.final_status import record
from deployer.deployment.image_pull import ImagePull
from deployer.deployment.preflight import refuse_taken, tell_written
from deployer.deployment.reconcile import Reconciler
from deployer.deployment.release_images import keep_proof, served_images
from deployer.deployment.rollout import Rollout
from deployer.deployment.startup_times import StartupTimes

_log = logging.getLogger("deployer.deploy")
_FORWARD_ONLY = (
    "its pre-deploy hook ran, and x-deployer.rollback forbids going back: what served goes on, deploy a fix"
)
_DISTURBED = "somebody else, perhaps `docker compose up` by hand, changed the project's containers meanwhile"
_LOCK_SECONDS = 120.0  # for the child of a killed deployer, which holds the project


def deploy(deployment: Deployment, job: DeployJob, context: DeployContext) -> Deployment:
    """Claimed → recorded and reported."""
    return _Way(deployment, job, context).go()


class _Way:
    def __init__(self, deployment: Deployment, job: DeployJob, context: DeployContext) -> None:
        self.deployment = deployment
        self.job = job
        self.context = context
        self.touched = False
        self.variables: Mapping[str, str] = {}  # what no line of the story may show
        self.deadline = context.clock.monotonic() + context.config.deadline + job.confirm
        self.tasks = True  # one-shots run
        self.one_way = False  # a schema changed that the release before cannot work with
        self.tried: DesiredState | None = None
        self.returning = False
        self.foreign: set[str] = set()  # containers of the project that nobody deployed
        self.disturbed = False  # by somebody who changed this project's containers meanwhile
        self.hooks = DeployHooks(deployment.id, context.target, context.clock, self._say, self._hide)
        self.measuring = AvailabilityMonitor(context.target, context.clock, self._say)
        self.startup_times = StartupTimes(deployment, context.store, context.clock)
        self.unserved: set[str] = set()  # ids of replicas that were made and never served

    @property
    def app(self) -> App:
        return self.context.config.app(self.deployment.app)

    @property
    def environment(self) -> Environment:
        return self.app.environment(self.deployment.environment)

    def go(self) -> Deployment:
        self.report(self.deployment)
        failure = self._caught(self._in_turn)
        self._caught(self._keep_figures)
        self._caught(self.startup_times.keep)
        return self._record(failure)

    def _keep_figures(self) -> None:
        if figures := self.measuring.stop():
            self.context.store.note_measured(self.deployment.id, figures)

    def _in_turn(self) -> Failure | None:
        wait = min(_LOCK_SECONDS, self.deadline - self.context.clock.monotonic())
        with self.context.target.exclusive(self.environment.project, wait):
            failure = self._caught(self._forward)
            self._caught(lambda: self.hooks.clear(self.environment.project))
            if failure is None or not self.touched:
                return failure
            self._say("failed", failure.reason)
            if self.one_way:
                return replace(failure, reason=f"{failure.reason}; {_FORWARD_ONLY}")
            way_back = self._back()
            self._caught(lambda: self.hooks.clear(self.environment.project))
            why = f"; {_DISTURBED}" if self.disturbed else ""
            return replace(failure, reason=f"{failure.reason}; {way_back}{why}")

    def _forward(self) -> None:
        """Resolve and pull while nothing is touched; then observe, plan, execute."""
        judge_job(self.job, self.app)
        self.variables = releases.variables_of(self.job, self.environment, self.context)
        release = self._resolve()
        self.tasks = releases.tasks_run(self.job, release.id, self.context, self.deployment.id)
        self.variables = {**self.variables, **release.variables}
        assemble = partial(releases.assembled, self.environment, release, self.context, judged=True)
        self.tried = application = assemble(credentials=self.job.credentials)
        if self.job.kind is not Kind.ROLLBACK:  # the edge still has those that it served
            releases.warn(application, release, self.app, self.environment, self.context, self._say)
        # Before a request to what may be another's.
        unchanged = refuse_taken(application, self.context.target, self.tasks)
        self.measuring.start(application.endpoints)
        self._pull(application)
        self._roll_out("plan", application, unchanged)

    def _roll_out(self, kind: str, application: DesiredState, seen: ObservedState | None = None) -> None:
        """Observe, plan, execute. After the switch and its confirmation nothing takes the release back."""
        context, project = self.context, self.environment.project
        observed = seen or context.target.observe(project)
        if context.store.serving(self.app.name, self.environment.name) is None:
            refuse_foreign(project, observed)
        self._note_foreign(observed)
        plan = plan_rollout(application, observed, tasks=kind == "plan" and self.tasks)
        self._say(kind, str(plan))
        tell_written(plan, observed, context.target, self._say)
        if kind == "plan" and not plan.empty:
            refuse_conflicts(application, occupied := context.target.occupied(project))
            application = beside(application, occupied)
            self._prepare(application)
        self.touched = True
        if not plan.empty:
            self.measuring.touch()
        rollout = self._rollout(application, plan, observed)
        self._bring_in(rollout)
        if kind == "plan":
            now = observed if plan.empty else context.target.observe(project)
            releases.refuse_other_images(application, now, context.target)
            self._prove()
        untidy = self._caught(rollout.drain)
        self.measuring.drained()
        if kind == "plan":
            self.measuring.judge(wait=0.0)
        if untidy := untidy or self._caught(rollout.take_out):
            self._say("untidy", f"the release serves, clearing up failed: {untidy.reason}")
        if plan.later_batches:
            self._go_on(application)
        if not plan.empty:
            self._reconcile(application, plan)
        if kind == "plan" and not plan.empty:
            self._finish(application)

    def _rollout(self, application: DesiredState, plan: Plan, observed: ObservedState) -> Rollout:
        target, clock = self.context.target, self.context.clock
        say, hide, startup_times, new = self._say, self._hide, self.startup_times, self.unserved
        return Rollout(
            application, plan, observed, target, clock, say, hide, startup_times, new, self.deadline
        )

    def _go_on(self, application: DesiredState) -> None:
        def judge() -> None:
            self.measuring.drained()
            self.measuring.judge(wait=0.0)

        target, clock, rollout_of = (
            self.context.target,
            self.context.clock,
            partial(self._rollout, application),
        )
        run_batches(application, target, clock, self._say, rollout_of, judge, self.deadline)

    def _bring_in(self, rollout: Rollout) -> None:
        """On the way back somebody else's work on the containers is waited for."""
        try:
            rollout.bring_in()
        except DeployerError:
            if not self.returning or not self._reconcile(rollout.application, rollout.plan):
                raise

    def _note_foreign(self, observed: ObservedState) -> None:
        """Whoever made containers since the way forward began may not be done yet."""
        foreign = {replica.id for replica in observed.replicas if not replica.spec}
        self.disturbed = self.disturbed or (self.returning and not foreign <= self.foreign)
        self.foreign |= foreign

    def _reconcile(self, application: DesiredState, plan: Plan) -> bool:
        """Whether what the plan made had to be made right again."""
        target, clock, rollout_of = (
            self.context.target,
            self.context.clock,
            partial(self._rollout, application),
        )
        reconciler = Reconciler(application, target, clock, self._say, rollout_of, self.deadline, [plan])
        if not (self.disturbed or reconciler.needed):
            return False
        self.disturbed = self.disturbed or reconciler.disturbed
        try:
            reconciler.run()
        except DeployerError as error:
            if reconciler.lacking:
                raise
            self._say("untidy", f"the release serves, {error}")
        return True

    def _prepare(self, application: DesiredState) -> None:
        """Hooks before anything is touched. On the way back by hand the newer release undoes its changes."""
        if self.job.kind is not Kind.ROLLBACK:
            ran = self.tasks and self.hooks.run(application, PRE_DEPLOY, self.deadline)
            self.one_way = ran and application.one_way
            return
        if newer := self.context.store.serving(self.app.name, self.environment.name):
            release = self.context.store.release(newer.release)
            self.variables = {**release.variables, **self.variables}
            self.hooks.run(
                releases.assembled(self.environment, release, self.context), ON_ROLLBACK, self.deadline
            )

    def _finish(self, application: DesiredState) -> None:
        if failure := self._caught(lambda: self._run_hooks(application, POST_DEPLOY)):
            self._say("untidy", f"the release serves, {failure.reason}")

    def _run_hooks(self, application: DesiredState, moment: str) -> None:
        self.hooks.run(application, moment, self.deadline)

    def _prove(self) -> None:
        """The release serves, and the old one stands by: users must bear it, and whoever asked may have the
        last word.
        """
        self.measuring.judge()
        if seconds := self.job.confirm:
            await_confirmation(self.deployment.id, seconds, self.context.store, self.context.clock, self._say)
            self.measuring.judge(wait=0.0)

    def restore(self) -> str:
        """Brings back what served before a deployment that was given up."""
        project = self.environment.project
        with self.context.target.exclusive(project):
            told = _FORWARD_ONLY if self._went_one_way() else self._back()
            self._say("restored", told)
            self.hooks.clear(project)
            return told

    def _went_one_way(self) -> bool:
        """Whether a process that died ran the hook after which nothing goes back."""
        if not self.deployment.release:
            return False
        release = self.context.store.release(self.deployment.release)
        self.variables = {**release.variables, **self.variables}
        one_way = releases.assembled(self.environment, release, self.context).one_way
        return one_way and self.context.target.has_hooks(self.environment.project, self.deployment.id)

    def _back(self) -> str:
        """Rolls the release that served before out again, with a deadline of its own; says how that went."""
        self.returning = True
        self.deadline = self.context.clock.monotonic() + self.context.config.deadline
        before = self.context.store.serving(self.app.name, self.environment.name)
        failure = self._caught(lambda: self._roll_back(before))
        if failure:
            return f"and the release before did not come back: {failure.reason}"
        if before is None:
            return "there was no release before, nothing runs"
        return f"{before.revision[:7]} serves as before"

    def _roll_back(self, before: Deployment | None) -> None:
        if self.tried:
            tried = self.tried
            if failure := self._caught(lambda: self._run_hooks(tried, ON_ROLLBACK)):
                self._say("untidy", failure.reason)
        if before is None:
            self._roll_out("rollback", nothing(self.environment.project))
            return
        release = self.context.store.release(before.release)
        self.variables = {**release.variables, **self.variables}
        self._roll_out("rollback", releases.assembled(self.environment, release, self.context))

    def _resolve(self) -> Release:
        if self.job.release:
            release = self.context.store.release(self.job.release)
            judge_release(release, self.app.name)
            return release
        if self.job.trigger == "webhook":
            check_branch(self.job, self.app, self.environment, self.context.github)
        draft = releases.complete(
            self.job, self.app, self.environment, self.context, partial(self._say, "image")
        )
        keep_proof(self.job, draft, self.context.store)
        release = self.context.store.save_release(self.deployment.id, draft, self.context.clock.now())
        named = ", ".join(f"{service} {image.short}" for service, image in release.images.items())
        self._say("resolve", f"release {release.id}: {named}")
        return release

    def _pull(self, application: DesiredState) -> None:
        before = served_images(self.context.store, self.app.name, self.environment.name)
        pulling = ImagePull(self.context, self.app, self.job.credentials, self._say, self.deadline)
        pulling.pull(application, before)

    def _record(self, failure: Failure | None) -> Deployment:
        ended = record(self.deployment, failure, self.context.store, self.context.clock)
        self.report(ended)
        return ended

    def report(self, deployment: Deployment) -> None:
        """GitHub's word for it; an app that left the settings has nobody to tell."""
        if deployment.app in self.context.config.apps:
            url = f"{self.context.config.url}/api/v1/deployments/{deployment.id}"
            self.context.github.report(self.app.repository, deployment, url, describe(deployment))

    def _say(self, kind: str, text: str) -> None:
        """A full disk costs a line of the story, not the rollout."""
        shown = self._shown(text)
        try:
            self.context.store.append(self.deployment.id, kind, shown, self.context.clock.now())
        except StoreUnavailable as error:
            told = log_fields("story-lost", self.deployment)
            _log.error("deployment %s, %s: %s (%s)", self.deployment.id, kind, shown, error, extra=told)

    def _shown(self, text: str) -> str:
        """What the request brought comes from secrets, so all of it is hidden, whatever its name."""
        return redact_secrets(redact(text, self.job.variables), self.variables)

    def _hide(self, text: str) -> str:
        return redact(text, self.variables)

    def _caught(self, act: Callable[[], Failure | None]) -> Failure | None:
        """A bug must not leave a deployment in progress either."""
        try:
            return act()
        except DeployerError as error:
            failure = failure_of(error)
            if error.hint:
                self._say("hint", error.hint)
            return replace(failure, reason=self._shown(failure.reason))
        except Exception as error:
            _log.exception(
                "deployment %s broke", self.deployment.id, extra=log_fields("bug", self.deployment)
            )
            name = type(error).__name__
            return Failure(Status.ERROR, f"the deployer broke ({name}); its log has the details")


def restore(deployment: Deployment, context: DeployContext) -> None:
    """Brings back what served before a deployment that was given up; never raises."""
    job = DeployJob(deployment.app, deployment.environment, Kind.ROLLBACK, "recovery", "deployer")
    way = _Way(deployment, job, context)
    try:
        _log.warning(
            "deployment %s: %s", deployment.id, way.restore(), extra=log_fields("restored", deployment)
        )
    except DeployerError as error:
        _log.error(
            "deployment %s: %s",
            deployment.id,
            error.diagnostics(),
            extra=log_fields("not-restored", deployment),
        )
    except Exception:
        _log.exception(
            "deployment %s could not be undone", deployment.id, extra=log_fields("bug", deployment)
        )
    way.report(deployment)
