"""Interface of the receiver to the store, beyond the queue: readers' and persons' tokens, the audit log.

In and out: frozen values. The store keeps hashes of secrets, never the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from deployer.core.audit.chain import AuditEvent, Entry
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.model import DeployJob, Deployment
from deployer.core.ports.arrivals import Arrival, Deliveries, Proofs
from deployer.core.ports.store import Store
from deployer.core.queue.delegated_task import TaskKind
from deployer.core.release.confirmation import ConfirmationVerdict


class Tokens(Protocol):
    """API tokens of persons."""

    def find(self, secret: str) -> Token | None:
        """Returns the API token with this secret, also an expired one."""

    def create(
        self, *, name: str, app: str, can: frozenset[Right], expires_at: float | None, now: float
    ) -> str:
        """Creates an API token; its secret is returned this once. Raises NameTaken."""

    def revoke(self, name: str, now: float) -> None:
        """Deletes an API token. Raises NotFound."""

    def all(self) -> Sequence[Token]:
        """Returns all API tokens, by name."""


class ReadTokens(Protocol):
    """Tokens that open one deployment for reading."""

    def issue(self, deployment_id: str, now: float) -> str:
        """Returns a new secret that opens this one deployment for reading; only its hash is kept."""

    def may_read(self, deployment_id: str, secret: str) -> bool:
        """True if the secret is one of this deployment's read tokens."""


class AuditLog(Protocol):
    """The audit log, append-only. Other roles write their entries in their own transactions."""

    def record_refusal(self, event: AuditEvent, now: float) -> None:
        """Records a refusal: the first of a kind at once, repeats as a count now and then."""

    def end_refusals(self, now: float | None = None) -> None:
        """Records the counts of refusals of a day that is over; without `now`, of all refusals."""

    def entries(self, after: int = 0, limit: int = 1_000) -> Sequence[Entry]:
        """Returns the entries after number `after`, oldest first."""

    def head(self) -> int:
        """Returns the newest entry's number, 0 if there is none."""

    def verify(self) -> tuple[Entry, str]:
        """Returns the last valid entry and the fault after it; the fault is empty if the whole
        log is valid.
        """


class Inbox(Store, Protocol):
    """The store as the receiver uses it. Every method is one transaction; writes raise StoreUnavailable."""

    deliveries: Deliveries
    proofs: Proofs
    tokens: Tokens
    read_tokens: ReadTokens
    audit: AuditLog

    def enqueue(self, job: DeployJob, now: float, arrival: Arrival | None = None) -> tuple[Deployment, str]:
        """Queues as `Store.enqueue`; records the arrival in the same transaction. Raises TokenRejected for a
        spent proof, Forbidden if a run that was accepted before now asks for other images.
        """

    def revision_of(self, app: str, release: str) -> str:
        """Returns the revision of a release. Raises NotFound, also for another app's."""

    def confirm(self, id: str, verdict: ConfirmationVerdict, reason: str, now: float) -> Deployment:
        """Stores the verdict on a waiting deployment; a repeated one is fine. Raises NotWaiting."""

    def hand_over(self, task: TaskKind, jobs: Sequence[DeployJob], now: float, arrival: Arrival) -> str:
        """Delegates a task to the process with the engine, and records the arrival in the same transaction;
        returns the task's id. Raises TokenRejected for a spent proof.
        """

    def task_answer(self, id: str) -> Mapping[str, Any] | None:
        """Returns the task's result, None until it exists."""

    def ready(self) -> bool:
        """True if the database answers; never raises StoreUnavailable."""
