"""Requests for the containers of replicas, hooks and copies. In: an application, its present replicas. Out:
one request for each missing replica, made from Compose's own request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.core.docker.container_requests import (
    ContainerIdentity,
    CreateRequest,
    edge_body,
    fixed_name,
    free_numbers,
    inherit_volumes,
    name_of,
    names_another_container,
    networks_in,
    next_name,
    replica_body,
    with_mounted_files,
    with_network_names,
)
from deployer.core.docker.engine_requests import (
    PermittedContainer,
    RequestedImage,
    permit_container,
    permit_copy,
    permit_name,
)
from deployer.core.docker.link_names import names_at_the_edge
from deployer.core.docker.preflight_container import copy_body
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import ObservedState, Replica
from deployer.core.permissions.project_permissions import Present
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.planner import predecessors


class ReplicaRequests:
    """Builder of create requests for one engine; creates nothing itself."""

    def __init__(self, engine: Engine, compose: Compose) -> None:
        self._engine = engine
        self._compose = compose

    def recorded(self, application: DesiredState, service: str) -> CreateRequest:
        """Returns the request that Compose would send for a service."""
        return _request_of(self._record(application), service)

    def edge_networks(self, application: DesiredState) -> frozenset[str]:
        """Returns the networks of the services behind the edge."""
        behind = [service.name for service in application.services if service.routes]
        return networks_in([one for one in self._record(application) if one.service in behind])

    def present(self, application: DesiredState, replicas: Sequence[Replica]) -> Present:
        """Returns the containers that requests may name, present and recorded ones, and the host's reserved
        ports and routes.
        """
        return self._present(self._record(application), replicas)

    def _present(self, recorded: Sequence[CreateRequest], replicas: Sequence[Replica]) -> Present:
        names = {text for one in replicas for text in (one.id, one.name)}
        names |= {text for one in recorded for text in (one.id, one.name)}
        return replace(self._engine.host.reserved(), containers=frozenset(names))

    def requests(
        self,
        application: DesiredState,
        counts: Mapping[str, int],
        present: Sequence[Replica],
        reached: Collection[tuple[str, str]],
    ) -> Iterator[PermittedContainer]:
        """Yields the permitted request of each missing replica; `counts`: service → replicas that it should
        have; `reached`: project and service whose own check the gate has reached. Raises PowerRefused.
        """
        recorded = self._record(application)
        here = self._present(recorded, present)
        for name, count in counts.items():
            missing = count - sum(replica.service == name for replica in present)
            if missing > 0:
                is_reached = (application.project, name) in reached
                yield from self._missing(application, name, missing, recorded, present, here, is_reached)

    def _record(self, application: DesiredState) -> tuple[CreateRequest, ...]:
        """Returns the recorded requests; records again if one of their networks was removed since."""
        recorded = self._recorded_with(application, {})
        if networks_in(recorded) <= self._engine.networks.ids().keys():
            return recorded
        self._compose.recording.forget(application)
        return self._recorded_with(application, {})

    def _recorded_with(self, application: DesiredState, ids: Mapping[str, str]) -> tuple[CreateRequest, ...]:
        """Records with `ids` (service → its container), which services that share its network name."""
        recorded = self._compose.recording.record(
            application, self._engine.connection.forward, ids, self._engine.host.reserved
        )
        names = {id: name for name, id in self._engine.networks.ids().items()}
        named = (with_network_names(one, names) for one in recorded)
        return tuple(with_mounted_files(one, application.folders) for one in named)

    def _missing(
        self,
        application: DesiredState,
        name: str,
        count: int,
        recorded: Sequence[CreateRequest],
        present: Sequence[Replica],
        here: Present,
        reached: bool,
    ) -> Iterator[PermittedContainer]:
        """Yields the requests for new replicas of one service."""
        project = application.project
        numbers = free_numbers(project, name, [replica.name for replica in present], count)
        if name == EDGE:
            yield self._edge(application, name_of(project, EDGE, numbers[0]), recorded, here)
            return
        service, one = application.service(name), _request_of(recorded, name)
        assert service and service.image
        actual = _of_this_release(application, present)
        if names_another_container(one, recorded):
            ids = {other: replica.id for other, replica in actual.items()}
            one = _request_of(self._recorded_with(application, ids), name)
        names = {other.name: actual[other.service].name for other in recorded if other.service in actual}
        names |= (edges := names_at_the_edge(application, one, recorded))
        image, model = self._engine.images.find_id(service.image), str(self._compose.models.path(project))
        before = predecessors(service, ObservedState(tuple(present)))
        for index, number in enumerate(numbers):
            made = fixed_name(application, name) or name_of(project, name, number)
            if any(replica.name == made for replica in present):
                permit_name(made, application.permissions)  # its name once the old container is gone
                made = next_name(project, made)
            place = ContainerIdentity(made, number, image, model, names)
            body = replica_body(one, service, place, reached=reached)
            handed: frozenset[str] = frozenset()
            for replica in before[index : index + 1]:
                inherit_volumes(body, replica.volumes, service.nameless)
                handed = frozenset(replica.volumes.values())
            mine = replace(here, volumes=handed, containers=here.containers | {*edges.values()})
            yield self.permit(application, service, made, body, mine, one.archives)

    def permit(
        self,
        application: DesiredState,
        service: Service,
        name: str,
        body: Mapping[str, Any],
        present: Present,
        archives: Sequence[tuple[str, bytes]],
    ) -> PermittedContainer:
        """Judges the request for a container of the service's image. Raises PowerRefused."""
        assert service.image
        image = self._requested(service.image)
        return permit_container(name, body, image, application.permissions, present, archives)

    def _requested(self, image: Image | str) -> RequestedImage:
        return RequestedImage(str(image), self._engine.images.config(image) or ImageConfig())

    def copy(
        self, application: DesiredState, service: str, name: str, old: Mapping[str, Any] | None
    ) -> PermittedContainer:
        """Returns the request for a copy of a service's new replica, or of the old replica whose inspection
        is `old`, judged by the present settings. Raises PowerRefused.
        """
        bundles = self._compose.folders.mounted
        if old is not None:
            image = str(old.get("Image"))  # its id: the name may belong to another image by now
            kept = {**old.get("Config", {}), "HostConfig": old.get("HostConfig", {}), "Image": image}
            body = copy_body(kept, application.project, service, str(bundles))
            permissions = replace(application.permissions, readable=_folders_in(old, bundles))
            return permit_copy(name, body, self._requested(image), permissions)
        one, found = self.recorded(application, service), application.service(service)
        assert found and found.image
        kept = {**one.body, "Image": str(found.image)}
        body = copy_body(kept, application.project, service, str(bundles))
        requested = self._requested(found.image)
        return permit_copy(name, body, requested, application.permissions, one.archives)

    def _edge(
        self, application: DesiredState, name: str, recorded: Sequence[CreateRequest], here: Present
    ) -> PermittedContainer:
        edge = application.edge
        assert edge
        permissions = replace(application.permissions, writable=(edge.folder,))
        body = edge_body(application, recorded)
        return permit_container(name, body, RequestedImage(edge.image), permissions, here)


def _of_this_release(application: DesiredState, present: Sequence[Replica]) -> dict[str, Replica]:
    """Returns service → its first replica of the release."""
    return {
        replica.service: replica
        for replica in reversed(present)
        if (found := application.service(replica.service)) and found.spec == replica.spec
    }


def _folders_in(details: Mapping[str, Any], bundles: Path) -> tuple[str, ...]:
    """Returns the folders of releases whose files a container mounts."""
    sources = (Path(str(mount.get("Source"))) for mount in details.get("Mounts") or ())
    inside = (path.relative_to(bundles) for path in sources if path.is_relative_to(bundles))
    return tuple({str(bundles / path.parts[0]) for path in inside if path.parts})


def _request_of(recorded: Sequence[CreateRequest], service: str) -> CreateRequest:
    return next(one for one in recorded if one.service == service)
