"""What the engine is asked to create. In: an application, what is there. Out: one request for each replica
that is missing, made from what Compose itself would ask for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from deployer.adapters.compose import Compose
from deployer.adapters.engine import Engine
from deployer.core.application import EDGE, Application
from deployer.core.blueprint import (
    Place,
    Recorded,
    edge_body,
    fixed_name,
    free_numbers,
    inherit,
    name_of,
    networks_in,
    replica_body,
    shares,
)
from deployer.core.model import ObservedState, Replica
from deployer.core.planner import predecessors

NEXT = "-next"  # ends the name of a container whose fixed name the old one still has
_Request = tuple[str, Mapping[str, Any], Sequence[tuple[str, bytes]]]


class Cloning:
    """One engine's; creates nothing itself."""

    def __init__(self, engine: Engine, compose: Compose) -> None:
        self._engine = engine
        self._compose = compose

    def recorded(self, application: Application, service: str) -> Recorded:
        """What Compose would ask for."""
        return _of(self._record(application), service)

    def edge_networks(self, application: Application) -> frozenset[str]:
        """Names of the networks on which the edge stands in front of services."""
        behind = [service.name for service in application.services if service.routes]
        return networks_in([one for one in self._record(application) if one.service in behind])

    def requests(
        self,
        application: Application,
        counts: Mapping[str, int],
        present: Sequence[Replica],
        reached: Collection[tuple[str, str]],
    ) -> Iterator[_Request]:
        """Name, body and files of each replica that `counts` names and that is not there; `reached`: project
        and service whose own check was answered to us.
        """
        recorded = self._record(application)
        for name, count in counts.items():
            missing = count - sum(replica.service == name for replica in present)
            if missing > 0:
                asked = (application.project, name) in reached
                yield from self._missing(application, name, missing, recorded, present, asked)

    def _record(self, application: Application) -> tuple[Recorded, ...]:
        """Asks Compose again where somebody removed a network since."""
        recorded = self._compose.record(application, self._engine.forward, {})
        if networks_in(recorded) <= self._engine.networks():
            return recorded
        self._compose.forget(application)
        return self._compose.record(application, self._engine.forward, {})

    def _missing(
        self,
        application: Application,
        name: str,
        count: int,
        recorded: Sequence[Recorded],
        present: Sequence[Replica],
        asked: bool,
    ) -> Iterator[_Request]:
        """The engine's requests for new replicas of one service."""
        project = application.project
        numbers = free_numbers(project, name, [replica.name for replica in present], count)
        if name == EDGE:
            yield name_of(project, EDGE, numbers[0]), edge_body(application, recorded), ()
            return
        service, one = application.service(name), _of(recorded, name)
        assert service and service.image
        actual = {
            replica.service: replica
            for replica in reversed(present)
            if (other := application.service(replica.service)) and other.spec == replica.spec
        }
        if shares(one, recorded):
            ids = {other: replica.id for other, replica in actual.items()}
            one = _of(self._compose.record(application, self._engine.forward, ids), name)
        names = {other.name: actual[other.service].name for other in recorded if other.service in actual}
        image, model = self._engine.image_id(service.image), str(self._compose.path(project))
        before = predecessors(service, ObservedState(tuple(present)))
        for index, number in enumerate(numbers):
            made = fixed_name(application, name) or name_of(project, name, number)
            if any(replica.name == made for replica in present):
                made += NEXT
            place = Place(made, number, image, model, names)
            body = replica_body(one, service, place, asked=asked)
            for replica in before[index : index + 1]:
                inherit(body, replica.volumes, service.nameless)
            yield made, body, one.archives


def _of(recorded: Sequence[Recorded], service: str) -> Recorded:
    return next(one for one in recorded if one.service == service)
