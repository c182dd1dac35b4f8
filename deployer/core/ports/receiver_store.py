"""Interface of the receiver to the store, beyond the queue: arrivals of deploy jobs, senders' proofs,
readers' tokens.

In and out: frozen values. The store keeps hashes of secrets, never the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deployer.core.audit.chain import AuditEvent, Entry
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.model import DeployJob, Deployment
from deployer.core.ports.store import Store
from deployer.core.queue.delegated_task import TaskKind
from deployer.core.release.confirmation import ConfirmationVerdict
from deployer.core.webhooks.delivery import Delivery


@dataclass(frozen=True)
class Proof:
    """An OIDC token that was spent on one request: a second use before its expiry is refused."""

    jti: str
    expires_at: float


Arrival = Delivery | Proof


class Inbox(Store, Protocol):
    """The store as the receiver uses it. Every method is one transaction; writes raise StoreUnavailable."""

    def enqueue(self, job: DeployJob, now: float, arrival: Arrival | None = None) -> tuple[Deployment, str]:
        """Queues as `Store.enqueue`; records the arrival in the same transaction. Raises TokenRejected for a
        spent proof, Forbidden if a run that was accepted before now asks for other images.
        """

    def revision_of(self, app: str, release: str) -> str:
        """Returns the revision of a release. Raises NotFound, also for another app's."""

    def confirm(self, id: str, verdict: ConfirmationVerdict, reason: str, now: float) -> Deployment:
        """Stores the verdict on a waiting deployment; a repeated one is fine. Raises NotWaiting."""

    def spend_proof(self, proof: Proof, now: float) -> None:
        """Spends the proof of a request that stores nothing else. Raises TokenRejected for a spent proof."""

    def hand_over(self, task: TaskKind, jobs: Sequence[DeployJob], now: float, arrival: Arrival) -> str:
        """Delegates a task to the process with the engine, and records the arrival in the same transaction;
        returns the task's id. Raises TokenRejected for a spent proof.
        """

    def task_answer(self, id: str) -> Mapping[str, Any] | None:
        """Returns the task's result, None until it exists."""

    def record_ignored(self, delivery: Delivery, reason: str, now: float) -> None:
        """Records that a delivery started nothing."""

    def issue_read_token(self, deployment_id: str, now: float) -> str:
        """Returns a new secret that opens this one deployment for reading; only its hash is kept."""

    def may_read(self, deployment_id: str, secret: str) -> bool:
        """True if the secret is one of this deployment's read tokens."""

    def token_of(self, secret: str) -> Token | None:
        """Returns the API token with this secret, also an expired one."""

    def create_token(
        self, *, name: str, app: str, can: frozenset[Right], expires_at: float | None, now: float
    ) -> str:
        """Creates an API token; its secret is returned this once. Raises NameTaken."""

    def revoke_token(self, name: str, now: float) -> None:
        """Deletes an API token. Raises NotFound."""

    def tokens(self) -> Sequence[Token]:
        """Returns all API tokens, by name."""

    def record_refusal(self, act: AuditEvent, now: float) -> None:
        """Records a refusal in the audit log: the first of a kind at once, repeats as a count now
        and then.
        """

    def audit(self, after: int = 0, limit: int = 1_000) -> Sequence[Entry]:
        """Returns the audit log's entries after number `after`, oldest first."""

    def verify_audit(self) -> tuple[Entry, str]:
        """Returns the last valid entry and the fault after it; the fault is empty if the whole
        log is valid.
        """

    def looked_at(self, hook: str) -> float | None:
        """Returns the time up to which a webhook's deliveries were searched, None if they never were."""

    def note_look(self, hook: str, now: float) -> None:
        """Records that a webhook's deliveries were searched until now."""

    def was_delivered(self, guid: str) -> bool:
        """True if this server ever accepted, or ignored, a delivery with this guid."""

    def ready(self) -> bool:
        """True if the database answers; never raises StoreUnavailable."""
