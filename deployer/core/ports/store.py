"""Interface to the store of deployments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from deployer.core.images import Image
from deployer.core.model import (
    Deployment,
    Event,
    Measured,
    Release,
    Status,
    Wish,
)
from deployer.core.queue.delegated_task import Errand
from deployer.core.release.confirmation import Confirmation
from deployer.core.release.proven_images import ProvenRun


class Store(Protocol):
    """The queue and the record. Every method is one transaction; writes raise StoreUnavailable."""

    def enqueue(self, wish: Wish, now: float) -> tuple[Deployment, str]:
        """Stores a decision: the deployment, and `queued`, `duplicate` or `stale`."""

    def claim(self, now: float) -> tuple[Deployment, Wish] | None:
        """The oldest queued deployment whose app and environment have none in progress, now in progress."""

    def next_errand(self, now: float) -> Errand | None:
        """What was handed over and is due: plans first, for somebody waits. None for a store without key."""

    def put_off(self, id: str, now: float) -> None:
        """Tries it again later."""

    def answer_errand(self, id: str, answer: Mapping[str, Any]) -> None: ...

    def drop_errand(self, id: str) -> None:
        """It is done, or nobody waits for it."""

    def requeue_interrupted(self, now: float) -> Sequence[Deployment]:
        """Puts what was in progress back in the queue; to be called before the first claim of a process."""

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment: ...

    def note_measured(self, id: str, measured: Measured) -> None:
        """Keeps what was measured while the deployment ran."""

    def startups(self, app: str, environment: str) -> Mapping[str, float]:
        """Service → seconds until it was ready, the last time."""

    def note_startups(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        """Remembers them beside those of other services."""

    def await_word(self, id: str, until: float) -> Confirmation:
        """Begins the wait for a confirmation, or goes on with one that a dead process began."""

    def word(self, id: str) -> Confirmation:
        """The wait as it stands."""

    def stop_waiting(self, id: str) -> Confirmation:
        """From its return on no word is taken any more; the one that came before it counts."""

    def append(self, id: str, kind: str, text: str, now: float) -> None: ...

    def events(self, id: str, after: int = 0) -> Sequence[Event]: ...

    def deployment(self, id: str) -> Deployment:
        """Raises NotFound."""

    def deployments(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]: ...

    def save_release(self, deployment_id: str, draft: Release, now: float) -> Release:
        """Keeps the release, now the deployment's, under an id that the same content always gets."""

    def release(self, id: str) -> Release:
        """Raises NotFound."""

    def forget_old(self, now: float) -> int:
        """Deletes what nobody needs any more, so that the record stops growing; the number of deployments."""

    def note_pull(self, image: Image) -> None:
        """Remembers that an image is here for a release, and may go with the last one that has it."""

    def pulled(self) -> Sequence[Image]: ...

    def proven(self, app: str, environment: str) -> Sequence[ProvenRun]:
        """What protected runs proved, newest first. A process that has the key leaves out what others
        wrote.
        """

    def note_proven(self, run: ProvenRun) -> None:
        """Keeps it beside the newest ones; only a process that has the key may."""

    def sweep_proven(self, app: str, environment: str) -> None:
        """Removes records that no process with the key wrote."""

    def forget_pull(self, image: Image) -> None: ...

    def releases(self) -> Sequence[Release]:
        """All that are kept, of all apps."""

    def keep_releases(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
        """Forgets the app's releases but for those that `choose` names, of all its deployments, newest first;
        in one transaction; how many. Successes that this store's key did not write are left out.
        """

    def serving(self, app: str, environment: str) -> Deployment | None:
        """The newest successful deployment."""

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        """The newest successful deployment of another release than `release`, older than the serving one."""
