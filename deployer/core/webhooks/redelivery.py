"""Deliveries that GitHub sent and this server missed. In: GitHub's record of delivery attempts. Out: the
deliveries to process now, oldest first. Never performs I/O.

GitHub never redelivers by itself; it keeps its attempts for three days. Contract:
https://docs.github.com/en/rest/repos/webhooks, and "Handling failed webhook deliveries".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deployer.core.webhooks.delivery import JSON, Delivery, parse_delivery

OVERLAP = 900.0  # seconds that a search overlaps the previous one: a delivery may be listed late
PATIENCE = 3  # consecutive deliveries of one webhook that GitHub may fail to show in one search
_BUSY = (408, 429)  # our answers that ask for a later try


@dataclass(frozen=True)
class Attempt:
    """Delivery attempt by GitHub; a redelivery has another id and the same guid."""

    id: int
    guid: str
    event: str
    delivered_at: float
    status_code: int  # 0 if no answer came


@dataclass(frozen=True)
class Sent:
    """GitHub's request of one attempt. Its bytes are not kept, so its signature cannot be verified again."""

    headers: Mapping[str, str]
    payload: Mapping[str, Any] = field(repr=False)


class WebhookDeliveries(Protocol):
    """GitHub's record of webhook deliveries. Every method raises GitHubUnavailable."""

    def places(self) -> Sequence[str]:
        """Returns repositories by name, and an app's single webhook as the empty name."""

    def hooks(self, place: str) -> Sequence[str]:
        """Returns the webhooks there that point to this server."""

    def attempts(self, hook: str, since: float) -> Sequence[Attempt]:
        """Returns the attempts, newest first."""

    def fetch(self, hook: str, attempt: Attempt) -> Sent:
        """Returns the attempt's request. Raises NotFound for one that GitHub has forgotten, or
        never shows.
        """


def missed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Returns the newest attempt of every delivery that this server never answered, oldest first. A refused
    delivery is not missed: it would be refused again.
    """
    answered = {attempt.guid for attempt in attempts if _is_answer(attempt.status_code)}
    newest = {attempt.guid: attempt for attempt in sorted(attempts, key=_moment)}
    unheard = [one for guid, one in newest.items() if guid not in answered and one.event != "ping"]
    return sorted(unheard, key=_moment)


def delivery_of(sent: Sent) -> Delivery:
    """Parses the request as strictly as one at the receiver. Raises PayloadRejected."""
    headers = {name.lower(): value for name, value in sent.headers.items()} | {"content-type": JSON}
    return parse_delivery(headers, json.dumps(sent.payload, separators=(",", ":")).encode())


def _moment(attempt: Attempt) -> tuple[float, int]:
    return attempt.delivered_at, attempt.id


def _is_answer(status_code: int) -> bool:
    return 200 <= status_code < 500 and status_code not in _BUSY
