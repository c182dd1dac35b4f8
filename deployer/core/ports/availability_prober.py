"""Interface to availability probes of published ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from deployer.core.compose.endpoints import Endpoint
from deployer.core.rollout.availability import Sample


class Watch(Protocol):
    """Availability probes until `stop`."""

    def samples(self) -> Mapping[Endpoint, Sequence[Sample]]:
        """Returns the results so far."""

    def stop(self) -> None: ...


class AvailabilityProber(Protocol):
    """Sends requests to published ports while a deployment runs."""

    def watch(self, endpoints: Sequence[Endpoint]) -> Watch:
        """Starts availability probes of published ports, many times a second."""
