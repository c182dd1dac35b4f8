"""Deliveries that GitHub sent and nobody took. In: what GitHub says it tried. Out: which to take after all,
oldest first. No I/O.

GitHub never sends again by itself; it keeps what it tried for three days. Contract:
https://docs.github.com/en/rest/repos/webhooks, and "Handling failed webhook deliveries".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deployer.core.webhooks.delivery import JSON, Delivery, parse_delivery

OVERLAP = 900.0  # seconds that a look goes back behind the one before: a delivery may be listed late
PATIENCE = 3  # deliveries of one hook that GitHub may fail to show in one look, one after another
_BUSY = (408, 429)  # answers of ours that mean: later


@dataclass(frozen=True)
class Attempt:
    """One time that GitHub tried to deliver; a redelivery has another id and the same guid."""

    id: int
    guid: str
    event: str
    delivered_at: float
    status_code: int  # 0 where nobody answered


@dataclass(frozen=True)
class Sent:
    """What GitHub sent in one attempt. Its bytes are not kept, so its signature cannot be checked again."""

    headers: Mapping[str, str]
    payload: Mapping[str, Any] = field(repr=False)


class HookLog(Protocol):
    """GitHub's record of what it delivered. Everything raises ForgeUnavailable."""

    def places(self) -> Sequence[str]:
        """Repositories by name, and an app's one hook as the empty name."""

    def hooks(self, place: str) -> Sequence[str]:
        """The hooks there that lead to this server."""

    def attempts(self, hook: str, since: float) -> Sequence[Attempt]:
        """Newest first."""

    def fetch(self, hook: str, attempt: Attempt) -> Sent:
        """Raises NotFound for one that GitHub has forgotten, or never shows."""


def missed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The newest attempt of every delivery that this server never answered, oldest first. What it refused it
    would refuse again.
    """
    answered = {attempt.guid for attempt in attempts if _is_answer(attempt.status_code)}
    newest = {attempt.guid: attempt for attempt in sorted(attempts, key=_moment)}
    unheard = [one for guid, one in newest.items() if guid not in answered and one.event != "ping"]
    return sorted(unheard, key=_moment)


def delivery_of(sent: Sent) -> Delivery:
    """As strict as with what comes to the door. Raises PayloadRejected."""
    headers = {name.lower(): value for name, value in sent.headers.items()} | {"content-type": JSON}
    return parse_delivery(headers, json.dumps(sent.payload, separators=(",", ":")).encode())


def _moment(attempt: Attempt) -> tuple[float, int]:
    return attempt.delivered_at, attempt.id


def _is_answer(status_code: int) -> bool:
    return 200 <= status_code < 500 and status_code not in _BUSY
