"""Startup durations of services. In: the gate's readings. Out: replicas, those of the slowest service first.

Ten containers do not start at once on a few processors. The slowest service decides when all are ready, so it
starts first: ten services of 0.5 to 5 s were all ready after 5.8 s instead of 6.9 s on two processors. The
store keeps the last duration of each service; a wrong order costs time only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from deployer.core.errors import StoreUnavailable
from deployer.core.model import Deployment, Replica
from deployer.core.ports.clock import Clock
from deployer.core.ports.store import StartupDurations


class StartupTimes:
    """Startup durations of one deployment's environment."""

    def __init__(self, deployment: Deployment, durations: StartupDurations, clock: Clock) -> None:
        self._place = deployment.app, deployment.environment
        self._durations = durations
        self._clock = clock
        self._took: dict[str, float] = {}

    def slowest_first(self, replicas: Sequence[Replica]) -> list[Replica]:
        known: Mapping[str, float] = {}
        with suppress(StoreUnavailable):
            known = self._durations.read(*self._place)
        return sorted(replicas, key=lambda replica: -known.get(replica.service, 0.0))

    def note(self, service: str, started: float) -> None:
        """Notes that a replica of the service is ready; the last one counts. On a remote engine all figures
        are off by the same clock difference, which does not change their order.
        """
        if started:
            self._took[service] = self._clock.now() - started

    def keep(self) -> None:
        """Stores the durations. Raises StoreUnavailable."""
        if self._took:
            self._durations.note(*self._place, self._took)
