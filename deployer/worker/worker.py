"""Threads of the worker. In: the queue, delegated tasks, missed deliveries. Out: deployments, maintenance.

Decides nothing: each thread repeats one use case until the worker stops, and outlives its errors.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from deployer.core.errors import DeployerError
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext
from deployer.worker.job_runner import JobRunner
from deployer.worker.maintenance_rounds import MaintenanceRounds

_log = logging.getLogger("deployer.worker")
_IDLE = 0.2  # seconds between two looks at an empty queue, which another process may fill
_MISSED = 600.0  # seconds between two looks at missed deliveries; GitHub keeps them for three days
_WATCH = 2.0  # seconds between two rounds of maintenance


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
        self._jobs = JobRunner(context)
        self._maintenance = MaintenanceRounds(context)

    @property
    def reaches(self) -> bool:
        """True if the target answered the last request."""
        return self._maintenance.reaches

    def start(self) -> None:
        """Requeues interrupted deployments, then starts as many deploying threads as the settings say."""
        self._jobs.recover()
        for number in range(self._context.config.workers):
            self._run(self._work, f"worker-{number + 1}")
        self._run(self._maintain, "routes")
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

    def _maintain(self) -> None:
        self._maintenance.look_at_target()
        while not self._stopping.wait(_WATCH):
            try:
                self._maintenance.run()
            except DeployerError as error:
                _log.error("%s", error.diagnostics(), extra=log_fields("worker-failed", code=error.code))
            except Exception:
                _log.exception("the maintenance loop failed", extra=log_fields("bug"))

    def _work(self) -> None:
        self._keep_at(self._jobs.run_once, "the worker broke", self._rest)

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
