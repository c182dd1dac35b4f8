"""Claiming jobs and deploying them, one at a time per app and environment. In: the queue. Out: finished
deployments.

A deployment that a dead process left in progress goes back to the queue before the first claim: its next run
observes the current state and plans only the missing steps.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial

from deployer.core.config.settings import App, Environment
from deployer.core.errors import Busy, DeployerError, EngineUnavailable
from deployer.core.model import Deployment, Status
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext
from deployer.deployment.crash_recovery import restore
from deployer.deployment.deploy import deploy
from deployer.worker.maintenance import reconcile_after, renew, reroute
from deployer.worker.pruning import prune

_log = logging.getLogger("deployer.worker")
_IDLE = 0.2  # seconds between two looks at an empty queue, which another process may fill
_LOOKS = 20  # environments per look: with a thousand of them, each look takes the next ones
_TIDY = 60.0  # seconds between two deletions of old records
_MISSED = 600.0  # seconds between two looks at missed deliveries; GitHub keeps them for three days
_WATCH = 2.0  # seconds between two looks at whether the edge knows every running replica's address


class Worker:
    """Runs the threads that deploy."""

    def __init__(
        self,
        context: DeployContext,
        recover_missed: Callable[[], object] | None = None,
        run_task: Callable[[], bool] | None = None,
    ) -> None:
        self._context = context
        self._run_task = run_task  # runs the next delegated task of the web process; False: none
        self._recover_missed = recover_missed  # asks GitHub for missed deliveries
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self._given_up: list[Deployment] = []
        self.reaches = True  # the target answered the last request
        self._looked = 0  # number of looks at environments so far; selects the next one
        self._tidied = context.clock.monotonic()

    def start(self) -> None:
        """Requeues interrupted deployments, then starts as many deploying threads as the settings say."""
        self.recover()
        for number in range(self._context.config.workers):
            self._run(self._work, f"worker-{number + 1}")
        self._run(self._watch, "routes")
        if self._run_task:
            self._run(self._run_tasks, "errands")
        if self._recover_missed:  # never joined: it may hang for as long as GitHub does
            threading.Thread(target=self._look_for_missed, name="deliveries", daemon=True).start()

    def stop(self, wait: float) -> bool:
        """Stops claiming. Returns True if the running deployments ended within `wait` seconds; otherwise the
        next start resumes them.
        """
        self._stopping.set()
        self.wake()
        deadline = self._context.clock.monotonic() + wait
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._context.clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Wakes a worker thread after an enqueue."""
        self._woken.set()

    def recover(self) -> None:
        """Requeues the deployments that a dead process left in progress. A deployment without attempts left
        is remembered, and the first worker restores its environment.
        """
        for deployment in self._context.store.requeue_interrupted(self._context.clock.now()):
            _log.warning(
                "deployment %s was interrupted and is now %s",
                deployment.id,
                deployment.status,
                extra=log_fields("deployment-interrupted", deployment),
            )
            if deployment.status is Status.ERROR:
                self._given_up.append(deployment)

    def run_once(self) -> bool:
        """Restores the environment of a deployment without attempts left, otherwise deploys the next job.
        Returns False if there is none.
        """
        with contextlib.suppress(IndexError):
            restore(self._given_up.pop(), self._context)
            return True
        claimed = self._context.store.claim(self._context.clock.now())
        if claimed is None:
            return False
        begun, job = claimed
        _log.info(
            "deployment %s of %s/%s: attempt %d",
            begun.id,
            begun.app,
            begun.environment,
            begun.attempts,
            extra=log_fields("deployment-begun", begun, kind=begun.kind, revision=begun.revision),
        )
        deployment = deploy(begun, job, self._context)
        if app := self._context.config.apps.get(deployment.app):
            prune(app, self._context)
        _log.info(
            "deployment %s of %s/%s: %s",
            deployment.id,
            deployment.app,
            deployment.environment,
            deployment.status,
            extra=log_fields("deployment-ended", deployment, reason=deployment.reason),
        )
        return True

    def reroute_all(self) -> None:
        """Maintains the next environments without a running deployment. Raises EngineUnavailable."""
        apps = self._context.config.apps.values()
        places = [(app, environment) for app in apps for environment in app.environments.values()]
        for _ in range(min(_LOOKS, len(places))):
            app, environment = places[self._looked % len(places)]
            self._looked += 1
            newest = self._context.store.deployments(app.name, environment.name, 1)
            if newest and newest[0].status.final:
                self._attend(app, environment, newest[0])

    def look_at_target(self) -> None:
        """Logs once when the engine stops answering, and once when it answers again."""
        before, self.reaches = self.reaches, self._context.target.answers()
        if before and not self.reaches:
            _log.error(
                "Docker does not answer: nothing can be deployed; `deployer status` says why",
                extra=log_fields("engine-away"),
            )
        elif self.reaches and not before:
            _log.info("Docker answers again", extra=log_fields("engine-back"))

    def tidy(self) -> None:
        """Deletes old records from time to time."""
        now = self._context.clock.monotonic()
        if now - self._tidied >= _TIDY:
            self._tidied = now
            if forgotten := self._context.store.forget_old(self._context.clock.now()):
                _log.info("%d old deployments were deleted", forgotten, extra=log_fields("old-forgotten"))

    def _attend(self, app: App, environment: Environment, newest: Deployment) -> None:
        """Maintains one environment. A failure of one app is logged, so that it does not hide the other apps;
        an unavailable engine concerns all of them and is raised.
        """
        for act in (partial(self._reconcile, newest), self._renew, self._reroute):
            try:
                act(app, environment)
            except EngineUnavailable:
                raise
            except Busy:
                return
            except DeployerError as error:
                told = log_fields("watch-failed", app=app.name, environment=environment.name, code=error.code)
                _log.error("%s: %s", environment.project, error.diagnostics(), extra=told)

    def _reconcile(self, newest: Deployment, app: App, environment: Environment) -> None:
        told = log_fields("settled-after", newest)

        def say(kind: str, text: str) -> None:
            _log.warning("%s, after its deployment: %s: %s", environment.project, kind, text, extra=told)

        reconcile_after(newest, environment, self._context, say)

    def _renew(self, app: App, environment: Environment) -> None:
        if renew(environment, self._context):
            told = log_fields("certificates-renewed", app=app.name, environment=environment.name)
            _log.info("%s: the edge serves other certificates now", environment.project, extra=told)

    def _reroute(self, app: App, environment: Environment) -> None:
        if routed := reroute(environment, app, self._context):
            told = log_fields("rerouted", app=app.name, environment=environment.name)
            _log.warning(
                "%s: the edge routes to %s again", environment.project, ", ".join(routed), extra=told
            )

    def _run(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _look_for_missed(self) -> None:
        assert self._recover_missed
        while not self._stopping.is_set():
            try:
                self._recover_missed()
            except Exception:
                if not self._stopping.is_set():  # otherwise the shutdown closed the database during the call
                    _log.exception("the check for missed deliveries failed", extra=log_fields("bug"))
            self._stopping.wait(_MISSED)

    def _run_tasks(self) -> None:
        """Runs delegated tasks. It polls: they come from another process, which cannot wake a thread here."""
        assert self._run_task
        self._keep_at(self._run_task, "a delegated task failed", self._stopping.wait)

    def _watch(self) -> None:
        self.look_at_target()
        while not self._stopping.wait(_WATCH):
            try:
                self.tidy()
                self.look_at_target()
                if self.reaches:
                    self.reroute_all()
            except DeployerError as error:
                _log.error("%s", error.diagnostics(), extra=log_fields("worker-failed", code=error.code))
            except Exception:
                _log.exception("the maintenance loop failed", extra=log_fields("bug"))

    def _work(self) -> None:
        self._keep_at(self.run_once, "the worker broke", self._rest)

    def _rest(self, longest: float) -> None:
        self._woken.wait(longest)
        self._woken.clear()

    def _keep_at(self, act: Callable[[], bool], broken: str, rest: Callable[[float], object]) -> None:
        """Calls `act` until the worker stops, and rests when `act` returns False (no work)."""
        while not self._stopping.is_set():
            try:
                worked = act()
            except DeployerError as error:  # the store is out of reach: queued jobs stay queued
                _log.error("%s", error.diagnostics(), extra=log_fields("worker-failed", code=error.code))
                worked = False
            except Exception:  # the thread must outlive any bug
                _log.exception(broken, extra=log_fields("bug"))
                worked = False
            if not worked:
                rest(_IDLE)
