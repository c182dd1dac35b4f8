"""Interface to the store of deployments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from deployer.core.images import Image
from deployer.core.model import (
    Availability,
    DeployJob,
    Deployment,
    Event,
    Release,
    Status,
)
from deployer.core.queue.delegated_task import DelegatedTask
from deployer.core.release.confirmation import Confirmation
from deployer.core.release.proven_images import ProvenRun


class Store(Protocol):
    """Queue and record of deployments. Every method is one transaction; writes raise StoreUnavailable."""

    def enqueue(self, job: DeployJob, now: float) -> tuple[Deployment, str]:
        """Stores a decision; returns the deployment, and `queued`, `duplicate` or `stale`."""

    def claim(self, now: float) -> tuple[Deployment, DeployJob] | None:
        """Returns the oldest queued deployment of an app and environment with none in progress, and marks it
        as in progress.
        """

    def next_task(self, now: float) -> DelegatedTask | None:
        """Returns a delegated task that is due: plans first, because a client waits for them. None for a
        store without key.
        """

    def put_off(self, id: str, now: float) -> None:
        """Schedules the task for a later try."""

    def answer_task(self, id: str, answer: Mapping[str, Any]) -> None: ...

    def drop_task(self, id: str) -> None:
        """Deletes a task that is done or no longer awaited."""

    def requeue_interrupted(self, now: float) -> Sequence[Deployment]:
        """Returns deployments in progress to the queue; must be called before a process's first claim."""

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment: ...

    def note_measured(self, id: str, measured: Availability) -> None:
        """Stores the availability figures of a deployment."""

    def startup_times(self, app: str, environment: str) -> Mapping[str, float]:
        """Returns service → seconds until it was ready, the last time."""

    def note_startups(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        """Stores startup durations, and keeps those of other services."""

    def await_word(self, id: str, until: float) -> Confirmation:
        """Begins the wait for a confirmation, or continues one that a dead process began."""

    def word(self, id: str) -> Confirmation:
        """Returns the current state of the wait."""

    def stop_waiting(self, id: str) -> Confirmation:
        """Ends the wait: later verdicts are refused; one that arrived before counts."""

    def append(self, id: str, kind: str, text: str, now: float) -> None: ...

    def events(self, id: str, after: int = 0) -> Sequence[Event]: ...

    def deployment(self, id: str) -> Deployment:
        """Returns the deployment. Raises NotFound."""

    def deployments(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]: ...

    def save_release(self, deployment_id: str, draft: Release, now: float) -> Release:
        """Stores the release as the deployment's, under an id that is a function of its content."""

    def release(self, id: str) -> Release:
        """Returns the release. Raises NotFound."""

    def forget_old(self, now: float) -> int:
        """Deletes old rows, so that the record stops growing; returns the number of deleted deployments."""

    def note_pull(self, image: Image) -> None:
        """Records that an image was pulled for a release, and may be removed with the last one
        that has it.
        """

    def pulled(self) -> Sequence[Image]: ...

    def proven(self, app: str, environment: str) -> Sequence[ProvenRun]:
        """Returns the records of protected runs, newest first. A process with the key leaves out records that
        were written without it.
        """

    def note_proven(self, run: ProvenRun) -> None:
        """Stores a record beside the newest ones; only a process with the key may."""

    def sweep_proven(self, app: str, environment: str) -> None:
        """Removes records that were written without the key."""

    def forget_pull(self, image: Image) -> None: ...

    def releases(self) -> Sequence[Release]:
        """Returns all kept releases, of all apps."""

    def keep_releases(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
        """Deletes the app's releases except those that `choose` names, out of all its deployments, newest
        first; in one transaction; returns the number of deleted ones. Successes that were not written with
        this store's key are left out.
        """

    def serving(self, app: str, environment: str) -> Deployment | None:
        """Returns the newest successful deployment."""

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        """Returns the newest successful deployment of another release than `release`, older than the serving
        one.
        """
