"""Traffic of one engine's projects: the edge, and host ports that replicas hold themselves. In: routes,
replicas. Out: requests reach exactly these replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.host.project_edges import ProjectEdges
from deployer.adapters.docker.host.replica_readiness import ReplicaReadiness
from deployer.adapters.docker.inspection import address_of
from deployer.adapters.docker.port_handover import Handover, holds_networks
from deployer.adapters.haproxy.certificates import expired
from deployer.core.docker import container_requests as requests
from deployer.core.docker.engine_requests import permit_name, permit_tag
from deployer.core.errors import ComposeRejected, ContainerRefused
from deployer.core.model import Replica
from deployer.core.permissions.project_permissions import Present
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.edge_container import EdgeSettings
from deployer.core.rollout.readiness import ANSWERED


class DockerRouter:
    """Implements `TrafficRouter`."""

    def __init__(
        self, engine: Engine, compose: Compose, edges: ProjectEdges, readiness: ReplicaReadiness
    ) -> None:
        self._engine = engine
        self._compose = compose
        self._edges = edges
        self._readiness = readiness
        self._handover = Handover(engine.containers, engine.networks)

    def edge_settings(self, project: str) -> EdgeSettings:
        return self._edges.settings(project)

    def check_edge(self, application: DesiredState, now: float) -> str:
        folder = self._edges.folder(application.project)
        if folder is None:
            return ""
        if not application.tls:
            raise ComposeRejected(
                "certificates are configured, and no published port takes TLS",
                hint='publish host port 443 on a port that speaks HTTP, as in `ports: ["80:80", "443:80"]`',
            )
        return "; ".join(filter(None, (expired(pem, now) for pem in folder.read().values())))

    def renew_certificates(self, project: str) -> bool:
        folder = self._edges.folder(project)
        if folder is None or not folder.changed():
            return False
        with self._compose.locks.exclusive(project, 0.0):
            edge = self._edges.of(project)
            return edge.configuration.ends_tls() and edge.configuration.certify(folder.read())

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        self._engine.images.fetch(self._edges.image, say)

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        for service, replicas in serving.items():
            if not service.routes:
                self._hand_over(application, service, replicas)
        wanted = {
            route: [address_of(self._engine.containers.look(replica) or replica) for replica in replicas]
            for service, replicas in serving.items()
            for route in service.routes
        }
        if wanted:
            self._edges.of(application.project).traffic.switch(wanted)

    def _hand_over(self, application: DesiredState, service: Service, coming: Sequence[Replica]) -> None:
        project, ids = application.project, {replica.id for replica in coming}
        observed = self._engine.containers.observe(project)
        mine = [replica for replica in observed if replica.service == service.name]
        here = Present(frozenset(replica.name for replica in observed))
        going = [one for one in mine if holds_networks(one) and one.id not in ids]
        ready = {one.id: one for one in mine if one.running and not one.restarts}
        for replica in coming:
            now = ready.get(replica.id)
            if now is None or self._readiness.ask(project, service, now) not in ("", ANSWERED):
                raise ContainerRefused(f"{replica.name} was ready and is no more, so it takes nothing over")
        parked = [one for one in mine if one.id in ids and one.parked]
        self._handover.give(application.permissions, parked, going, service.networks, here)

    def sessions(self, project: str, replica: Replica) -> int:
        return sum(map(self._edges.of(project).traffic.sessions, replica.addresses.values()))

    def clear(self, project: str) -> None:
        replicas = self._engine.containers.observe(project)
        if all(replica.service == EDGE for replica in replicas):
            for replica in replicas:
                self._engine.containers.remove(replica)
            self._engine.networks.remove_unused(project)

    def reconcile(self, application: DesiredState) -> None:
        """After a rollout: saves the running model, names images and containers, and removes other routes of
        the edge.
        """
        if any(service.publishes for service in application.services):
            self._handover.clear(application.project, self._engine.containers.observe(application.project))
        self._compose.models.save(application)
        self._tag_images(application)
        self._give_fixed_names(application)
        if application.routes:
            self._edges.of(application.project).configuration.reconcile(application.routes)

    def _tag_images(self, application: DesiredState) -> None:
        for service in application.services:
            name = requests.own_name(application, service) if service.image else ""  # the edge has none
            if name and (tag := permit_tag(name, service, application.permissions)):
                self._engine.images.tag(tag)

    def _give_fixed_names(self, application: DesiredState) -> None:
        named = any(requests.fixed_name(application, service.name) for service in application.services)
        for replica in self._engine.containers.observe(application.project) if named else ():
            fixed = requests.fixed_name(application, replica.service)
            if fixed and replica.name == requests.next_name(application.project, fixed):
                self._engine.containers.rename(replica, permit_name(fixed, application.permissions))
