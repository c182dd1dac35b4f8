"""Interfaces of the receiver to the store, beyond the queue: API tokens, read tokens, the audit log. Every
method is one transaction; writes raise StoreUnavailable.

In and out: frozen values. The store keeps hashes of secrets, never the secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployer.core.audit.chain import AuditEvent, Entry
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.ports.arrivals import Deliveries, Proofs
from deployer.core.ports.store import Store


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


class ReceiverStore(Store, Protocol):
    """Roles of the store that the receiver uses beside those of a deployment."""

    deliveries: Deliveries
    proofs: Proofs
    tokens: Tokens
    read_tokens: ReadTokens
    audit: AuditLog

    def ready(self) -> bool:
        """True if the database answers; never raises StoreUnavailable."""
