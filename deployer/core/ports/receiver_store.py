"""What the receiver's door needs from the store beside the queue: how a wish arrived, who may send, who may
read.

In and out: frozen values. The store keeps hashes of secrets, never the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deployer.core.audit.chain import Act, Entry
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.model import Deployment, Wish
from deployer.core.ports.store import Store
from deployer.core.queue.delegated_task import Task
from deployer.core.release.confirmation import Verdict
from deployer.core.webhooks.delivery import Delivery


@dataclass(frozen=True)
class Proof:
    """An OIDC token that was spent on one request: it must not be seen again before it expired."""

    jti: str
    expires_at: float


Arrival = Delivery | Proof


class Inbox(Store, Protocol):
    """The store as the receiver uses it. Every method is one transaction; writes raise StoreUnavailable."""

    def enqueue(self, wish: Wish, now: float, arrival: Arrival | None = None) -> tuple[Deployment, str]:
        """As `Store.enqueue`; notes the arrival in the same transaction. Raises TokenRejected for a spent
        proof, Forbidden where a run that was accepted before asks for other images now.
        """

    def revision_of(self, app: str, release: str) -> str:
        """What a release was made from. Raises NotFound, also for another app's."""

    def confirm(self, id: str, verdict: Verdict, reason: str, now: float) -> Deployment:
        """Writes down the word that a deployment waits for; the same again is fine. Raises NotWaiting."""

    def spend_proof(self, proof: Proof, now: float) -> None:
        """For a request that stores nothing else. Raises TokenRejected for a spent proof."""

    def hand_over(self, task: Task, wishes: Sequence[Wish], now: float, arrival: Arrival) -> str:
        """Leaves it for the process with the engine, and notes the arrival in the same transaction; its id.
        Raises TokenRejected for a spent proof.
        """

    def errand_answer(self, id: str) -> Mapping[str, Any] | None:
        """What came of it, None while nothing did."""

    def record_ignored(self, delivery: Delivery, reason: str, now: float) -> None:
        """Keeps that a delivery started nothing."""

    def issue_read_token(self, deployment_id: str, now: float) -> str:
        """A new secret that opens this one deployment for reading; only its hash is kept."""

    def may_read(self, deployment_id: str, secret: str) -> bool:
        """Whether the secret is one of this deployment's read tokens."""

    def token_of(self, secret: str) -> Token | None:
        """The person's token behind a secret, also an expired one."""

    def create_token(
        self, *, name: str, app: str, can: frozenset[Right], expires_at: float | None, now: float
    ) -> str:
        """A new person's token; the secret is returned this once. Raises NameTaken."""

    def revoke_token(self, name: str, now: float) -> None:
        """Raises NotFound."""

    def tokens(self) -> Sequence[Token]:
        """All of people's tokens, by name."""

    def record_refusal(self, act: Act, now: float) -> None:
        """Into the audit log: the first of a kind at once, of repeats the number now and then."""

    def audit(self, after: int = 0, limit: int = 1_000) -> Sequence[Entry]:
        """The audit log's entries after number `after`, oldest first."""

    def verify_audit(self) -> tuple[Entry, str]:
        """The last entry that holds, and what is wrong after it: empty where the whole log holds."""

    def looked_at(self, hook: str) -> float | None:
        """When what GitHub sent to a hook was last looked at, None where it never was."""

    def note_look(self, hook: str, now: float) -> None:
        """Everything until now was looked at."""

    def was_delivered(self, guid: str) -> bool:
        """Whether a delivery with this guid was ever taken, or ignored, here."""

    def ready(self) -> bool:
        """Whether the database answers; never raises StoreUnavailable."""
