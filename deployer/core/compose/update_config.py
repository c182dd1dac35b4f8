"""Pace of replacing a service's replicas. In: Compose's own `deploy.update_config`, the rest of a
deployment's deadline. Out: the batch size, the pause between batches, and the grace of a stop.

By default all replicas are replaced at once: quickest, and for a moment twice the memory. Compose's
`failure_action` is ignored: a replica that does not become ready always rolls the whole release back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.services import seconds
from deployer.core.errors import ComposeRejected

LEAST_GRACE = 10.0  # seconds, Docker's own; a stop after the deadline still has them


@dataclass(frozen=True)
class Pace:
    """Batch size `at_once`, 0 for all replicas; `delay` seconds before the next batch."""

    at_once: int = 0
    delay: float = 0.0

    def share(self, missing: int) -> int:
        """Returns the number of `missing` replicas in the next batch."""
        return min(missing, self.at_once or missing)


def pace_of(service: Mapping[str, Any]) -> Pace:
    """Reads a service's pace. Raises ComposeRejected for an invalid number or duration."""
    table = (service.get("deploy") or {}).get("update_config") or {}
    number = table.get("parallelism", 0)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ComposeRejected(f"deploy.update_config.parallelism is {number!r}", hint="it is a number from 0")
    return Pace(number, seconds(table.get("delay"), 0.0))


def grace_within(grace: float, left: float) -> float:
    """Returns the seconds for a stop with `left` seconds until the deployment's deadline."""
    return min(grace, max(LEAST_GRACE, left))


def pause_within(pause: float, left: float) -> float:
    """Returns the seconds before the next batch: none where the deadline would come first."""
    return pause if pause < left else 0.0
