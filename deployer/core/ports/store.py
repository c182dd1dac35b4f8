"""Interfaces to the store of deployments, one for each role. Every method is one transaction; writes raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from deployer.core.images import Image
from deployer.core.model import Availability, DeployJob, Deployment, Event, Release, Status
from deployer.core.ports.arrivals import Arrival
from deployer.core.queue.delegated_task import DelegatedTask, TaskKind
from deployer.core.queue.supersede import Outcome
from deployer.core.release.confirmation import Confirmation, ConfirmationVerdict
from deployer.core.release.proven_images import ProvenRun


class DeploymentQueue(Protocol):
    """Queue of deploy jobs: one running and one queued deployment for each app and environment."""

    queued: Callable[[], None]  # called after a job is queued where none waited

    def enqueue(
        self, job: DeployJob, now: float, arrival: Arrival | None = None
    ) -> tuple[Deployment, Outcome]:
        """Stores a decision, and records its arrival in the same transaction; returns the deployment, and if
        the job is queued, a duplicate or stale. Raises TokenRejected for a spent proof, Forbidden if a run
        that was accepted before now asks for other images.
        """

    def claim(self, now: float) -> tuple[Deployment, DeployJob] | None:
        """Returns the oldest queued deployment of an app and environment with none in progress, and marks it
        as in progress.
        """

    def requeue_interrupted(self, now: float) -> Sequence[Deployment]:
        """Returns deployments in progress to the queue; must be called before a process's first claim."""

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment:
        """Ends a deployment. A second call changes nothing."""


class Deployments(Protocol):
    """Record of deployments."""

    def get(self, id: str) -> Deployment:
        """Returns the deployment. Raises NotFound."""

    def find(self, beginning: str) -> Deployment:
        """Returns the deployment whose id is or begins so. Raises NotFound, also if several ids do."""

    def history(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]:
        """Returns the deployments of an environment, newest first."""

    def serving(self, app: str, environment: str) -> Deployment | None:
        """Returns the newest successful deployment."""

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        """Returns the newest successful deployment of another release than `release`, older than the serving
        one.
        """

    def note_measured(self, id: str, measured: Availability) -> None:
        """Stores the availability figures of a deployment."""


class DeploymentEvents(Protocol):
    """Events of deployments."""

    def append(self, id: str, kind: str, text: str, now: float) -> None: ...

    def read(self, id: str, after: int = 0) -> Sequence[Event]:
        """Returns the deployment's events after number `after`."""


class Releases(Protocol):
    """Releases, immutable, under ids that are functions of their content."""

    def save(self, deployment_id: str, draft: Release, now: float) -> Release:
        """Stores the release as the deployment's, under an id that is a function of its content."""

    def get(self, id: str) -> Release:
        """Returns the release. Raises NotFound."""

    def revision_of(self, app: str, release: str) -> str:
        """Returns the revision of a release. Raises NotFound, also for another app's."""

    def all(self) -> Sequence[Release]:
        """Returns all kept releases, of all apps."""

    def keep(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
        """Deletes the app's releases except those that `choose` names, out of all its deployments, newest
        first; in one transaction; returns the number of deleted ones. Successes that were not written with
        this store's key are left out.
        """


class Confirmations(Protocol):
    """Waits of deployments for their external confirmation."""

    def begin(self, id: str, until: float) -> Confirmation:
        """Begins the wait for a confirmation, or continues one that a dead process began."""

    def read(self, id: str) -> Confirmation:
        """Returns the current state of the wait."""

    def end(self, id: str) -> Confirmation:
        """Ends the wait: later verdicts are refused; one that arrived before counts."""

    def record_verdict(self, id: str, verdict: ConfirmationVerdict, reason: str, now: float) -> Deployment:
        """Stores the verdict on a waiting deployment; a repeated one is fine. Raises NotWaiting."""


class DelegatedTasks(Protocol):
    """Tasks that a process without an engine delegates to the one that has it."""

    def hand_over(self, task: TaskKind, jobs: Sequence[DeployJob], now: float, arrival: Arrival) -> str:
        """Delegates a task to the process with the engine, and records the arrival in the same transaction;
        returns the task's id. Raises TokenRejected for a spent proof.
        """

    def next(self, now: float) -> DelegatedTask | None:
        """Returns a delegated task that is due: plans first, because a client waits for them. None for a
        store without key.
        """

    def put_off(self, id: str, now: float) -> None:
        """Schedules the task for a later try."""

    def answer(self, id: str, answer: Mapping[str, Any]) -> None:
        """Stores the task's result."""

    def answer_of(self, id: str) -> Mapping[str, Any] | None:
        """Returns the task's result, None until it exists."""

    def drop(self, id: str) -> None:
        """Deletes a task that is done or no longer awaited."""


class ImageRecords(Protocol):
    """Records of images: pulled for releases, proven by protected runs."""

    def note_pull(self, image: Image) -> None:
        """Records that an image was pulled for a release, and may be removed with the last one
        that has it.
        """

    def pulled(self) -> Sequence[Image]:
        """Returns the images that were pulled for releases."""

    def forget_pull(self, image: Image) -> None:
        """Deletes the record of an image that is no longer on the engine."""

    def proven(self, app: str, environment: str) -> Sequence[ProvenRun]:
        """Returns the records of protected runs, newest first. A process with the key leaves out records that
        were written without it.
        """

    def note_proven(self, run: ProvenRun) -> None:
        """Stores a record beside the newest ones; only a process with the key may."""

    def sweep_proven(self, app: str, environment: str) -> None:
        """Removes records that were written without the key."""


class StartupDurations(Protocol):
    """Startup durations of an environment's services."""

    def read(self, app: str, environment: str) -> Mapping[str, float]:
        """Returns service → seconds until it was ready, the last time."""

    def note(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        """Stores startup durations, and keeps those of other services."""


class Store(Protocol):
    """Roles of the store that a deployment and the worker use."""

    queue: DeploymentQueue
    deployments: Deployments
    events: DeploymentEvents
    releases: Releases
    confirmations: Confirmations
    tasks: DelegatedTasks
    images: ImageRecords
    startup_durations: StartupDurations

    def forget_old(self, now: float) -> int:
        """Deletes old rows, so that the record stops growing; returns the number of deleted deployments."""
