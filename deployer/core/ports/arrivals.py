"""Interfaces to the record of arrivals: deliveries of webhooks, and proofs of origin that may be spent once.
Every method is one transaction; writes raise StoreUnavailable.

In and out: frozen values. The store keeps hashes of secrets, never the secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deployer.core.webhooks.delivery import Delivery


@dataclass(frozen=True)
class Proof:
    """An OIDC token that was spent on one request: a second use before its expiry is refused."""

    jti: str
    expires_at: float


Arrival = Delivery | Proof


class Deliveries(Protocol):
    """Record of webhook deliveries, and of the searches for missed ones."""

    def record_ignored(self, delivery: Delivery, reason: str, now: float) -> None:
        """Records that a delivery started nothing."""

    def was_delivered(self, guid: str) -> bool:
        """True if this server ever accepted, or ignored, a delivery with this guid."""

    def looked_at(self, hook: str) -> float | None:
        """Returns the time up to which a webhook's deliveries were searched, None if they never were."""

    def note_look(self, hook: str, now: float) -> None:
        """Records that a webhook's deliveries were searched until now."""


class Proofs(Protocol):
    """Record of spent proofs."""

    def spend(self, proof: Proof, now: float) -> None:
        """Spends the proof of a request that stores nothing else. Raises TokenRejected for a spent proof."""
