"""How fast a service's replicas are replaced. In: Compose's own `deploy.update_config`, what is left of a
deployment's deadline. Out: how many at a time, the pause between, and the grace of a stop.

Without it all go at once: quickest, and for a moment twice the memory. Compose's `failure_action` is not
asked: whatever it says, a replica that does not become ready takes the whole release back.
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
    """`at_once` replicas, 0 for all; `delay` seconds before the next ones."""

    at_once: int = 0
    delay: float = 0.0

    def share(self, missing: int) -> int:
        """How many of the missing ones come now."""
        return min(missing, self.at_once or missing)


def pace_of(service: Mapping[str, Any]) -> Pace:
    """Raises ComposeRejected for what is no number or duration."""
    table = (service.get("deploy") or {}).get("update_config") or {}
    number = table.get("parallelism", 0)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ComposeRejected(f"deploy.update_config.parallelism is {number!r}", hint="it is a number from 0")
    return Pace(number, seconds(table.get("delay"), 0.0))


def grace_within(grace: float, left: float) -> float:
    """Seconds for a stop with `left` seconds until the deployment's deadline."""
    return min(grace, max(LEAST_GRACE, left))


def pause_within(pause: float, left: float) -> float:
    """Seconds before the next turn: none where the deadline would come first."""
    return pause if pause < left else 0.0
