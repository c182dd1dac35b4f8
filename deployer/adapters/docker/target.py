"""Docker engine as a target: engine, Compose and edge together behind the interface that use cases know.

Which network an address is taken from and which replicas serve is read here; what to do about it is chosen in
`core/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from deployer.adapters.docker.compose_cli import Compose
from deployer.adapters.docker.disk_space import free_for
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.inspection import address_of, with_serving
from deployer.adapters.docker.port_handover import Handover, holds_networks
from deployer.adapters.docker.replica_requests import ReplicaRequests
from deployer.adapters.haproxy.certificates import CertificateFolder, expired
from deployer.adapters.haproxy.edge import Edge
from deployer.adapters.probes.availability_probe import AvailabilityProbe
from deployer.adapters.probes.single_request import ask_http, ask_tcp
from deployer.core.compose.deploy_hooks import Hook
from deployer.core.compose.endpoints import Endpoint
from deployer.core.docker import container_requests as requests
from deployer.core.docker.engine_requests import permit_name, permit_tag
from deployer.core.docker.preflight_container import COPY, name_of_copy
from deployer.core.errors import CertificateInvalid, ComposeRejected, ContainerRefused
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Bundle, ContainerState, Credentials, Health, ObservedState, Replica
from deployer.core.permissions.project_permissions import Present
from deployer.core.rollout.conflicts import Occupied
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.edge_container import EdgeSettings
from deployer.core.rollout.readiness import ANSWERED, Reading

HAPROXY_USER = 99  # the official image's own
_AT_ONCE = 8
_KNOWN_CONFIGS = 256  # images whose configuration is remembered
# Of ten that the engine is asked for at once it starts some first, as it likes, and all take longer. The very
# first of many starts alone: it is the one that all others will wait for.
_STARTS = max(2, os.cpu_count() or 2)
_Thing = TypeVar("_Thing")


class DockerTarget:
    """Implements `ports.Target`."""

    def __init__(
        self,
        engine: Engine,
        compose: Compose,
        state: Path,
        edge_image: str,
        certificates: Mapping[str, str] | None = None,
    ) -> None:
        self._engine = engine
        self._compose = compose
        self._replica_requests = ReplicaRequests(engine, compose)
        self._handover = Handover(engine)
        self._edges = state / "edge"
        self._edge_image = edge_image
        self._reached: set[tuple[str, str]] = set()  # project and service whose own check was answered to us
        named = (certificates or {}).items()
        self._folders = {project: CertificateFolder(Path(path)) for project, path in named}
        self._owner = _owner_of(state)
        self._configs: dict[Image, ImageConfig] = {}  # by digest, so they never change; oldest first

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        return self._compose.exclusive(project, wait)

    def answers(self) -> bool:
        return self._engine.ping()

    def edge_settings(self, project: str) -> EdgeSettings:
        user, folder = f"{self._owner[0]}:{self._owner[1]}", str(self._edges / project)
        return EdgeSettings(self._edge_image, folder, user, tls=project in self._folders)

    def check_edge(self, application: DesiredState, now: float) -> str:
        folder = self._folders.get(application.project)
        if folder is None:
            return ""
        if not application.tls:
            raise ComposeRejected(
                "certificates are configured, and no published port takes TLS",
                hint='publish host port 443 on a port that speaks HTTP, as in `ports: ["80:80", "443:80"]`',
            )
        return "; ".join(filter(None, (expired(pem, now) for pem in folder.read().values())))

    def renew_certificates(self, project: str) -> bool:
        folder = self._folders.get(project)
        if folder is None or not folder.changed():
            return False
        with self.exclusive(project, wait=0.0):
            edge = self._edge(project)
            return edge.ends_tls() and edge.certify(folder.read())

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> Mapping[str, Any]:
        return self._compose.render(project, bundle, variables)

    def planning(self, bundle: Bundle) -> AbstractContextManager[None]:
        return self._compose.planning(bundle)

    def image_id(self, image: Image) -> str:
        return self._engine.image_id(image)

    def image_config(self, image: Image) -> ImageConfig | None:
        if image not in self._configs and (found := self._engine.image_config(image)):
            self._configs[image] = found
            for oldest in list(self._configs)[:-_KNOWN_CONFIGS]:
                self._configs.pop(oldest, None)
        return self._configs.get(image)

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        self._engine.pull(image, credentials, say, limit, stored=stored)

    def free_bytes(self) -> int | None:
        """None where the engine is another machine's."""
        return free_for(self._engine.root()) if self._engine.is_here else None

    def forget_image(self, image: Image) -> bool:
        return self._engine.remove_image(image)

    def keep_files(self, bundles: Sequence[Bundle]) -> int:
        return self._compose.keep(bundles, self._engine.mounted_paths())

    def keep_written(self, replica: Replica) -> Mapping[str, Sequence[str]]:
        found = {path: self._compose.keep_written(source) for path, source in replica.writes.items()}
        return {path: copies for path, copies in found.items() if copies}

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        self._engine.fetch(self._edge_image, say)

    def observe(self, project: str) -> ObservedState:
        replicas = self._engine.observe(project)
        routes = self._edge(project).slots()
        served = {name: {slot.address for slot in slots if slot.open} for name, slots in routes.items()}
        return ObservedState(tuple(with_serving(replica, served) for replica in replicas))

    def occupied(self, project: str) -> Occupied:
        return self._engine.occupied(project)

    def create(self, application: DesiredState, counts: Mapping[str, int]) -> None:
        present = self.observe(application.project).replicas
        wanted = list(self._replica_requests.requests(application, counts, present, self._reached))
        if application.routes:  # after Compose, which makes the networks
            edge = self._edge(application.project)
            peers = self._engine.bridges(self._replica_requests.edge_networks(application))
            running: dict[str, list[str]] = {}
            for replica in present:
                if replica.running and replica.addresses and replica.health is not Health.UNHEALTHY:
                    running.setdefault(replica.service, []).append(address_of(replica))
            edge.prepare(application.routes, self._certificates(application, edge), peers, running)
        self._each(self._engine.create, wanted)

    def _certificates(self, application: DesiredState, edge: Edge) -> Mapping[str, str] | None:
        """None: as they are. On the way back they may be wrong by now; those that are served are not."""
        if not application.tls:
            return None
        try:
            return self._folders[application.project].read()
        except CertificateInvalid:
            if edge.certificates():
                return None
            raise

    def start(self, project: str, replicas: Sequence[Replica]) -> None:
        present = self._engine.observe(project)
        running = [replica for replica in present if replica.running]
        alive = {(one.service, address) for one in running for address in one.addresses.values()}
        self._edge(project).rest_all_but(alive)
        held = {one.service for one in present if holds_networks(one)}
        heirs = [replica for replica in replicas if replica.port_successor and replica.service in held]
        self._handover.set_aside(project, heirs)
        alone = int(len(replicas) > _STARTS)
        self._each(self._engine.start, replicas[:alone], 1)
        self._each(self._engine.start, replicas[alone:], _STARTS)

    def read(self, project: str, service: Service, replica: Replica) -> Reading:
        now = self._engine.look(replica)
        if now is None:
            return Reading(ContainerState.REMOVED, Health.NONE)
        answer = self._ask(project, service, now)
        return Reading(now.state, now.health, now.exit_code, now.restarts, answer, now.started)

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        for service, replicas in serving.items():
            if not service.routes:
                self._hand_over(application, service, replicas)
        wanted = {
            route: [address_of(self._engine.look(replica) or replica) for replica in replicas]
            for service, replicas in serving.items()
            for route in service.routes
        }
        if wanted:
            self._edge(application.project).switch(wanted)

    def _hand_over(self, application: DesiredState, service: Service, coming: Sequence[Replica]) -> None:
        project, ids = application.project, {replica.id for replica in coming}
        observed = self._engine.observe(project)
        mine = [replica for replica in observed if replica.service == service.name]
        here = Present(frozenset(replica.name for replica in observed))
        going = [one for one in mine if holds_networks(one) and one.id not in ids]
        ready = {one.id: one for one in mine if one.running and not one.restarts}
        for replica in coming:
            now = ready.get(replica.id)
            if now is None or self._ask(project, service, now) not in ("", ANSWERED):
                raise ContainerRefused(f"{replica.name} was ready and is no more, so it takes nothing over")
        parked = [one for one in mine if one.id in ids and one.parked]
        self._handover.give(application.permissions, parked, going, service.networks, here)

    def sessions(self, project: str, replica: Replica) -> int:
        return sum(map(self._edge(project).sessions, replica.addresses.values()))

    def stop(self, project: str, replica: Replica, grace: float) -> None:
        behind = replica.service != EDGE and replica.addresses and self._edge(project).alive()
        addresses = list(replica.addresses.values())
        if behind:
            self._edge(project).rest(addresses)
        self._engine.stop(replica, grace)
        if behind:
            self._edge(project).cut(addresses)

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        self._each(partial(self._engine.remove, volumes=volumes), replicas)

    def begin_hook(self, application: DesiredState, hook: Hook, deployment: str) -> Replica:
        name, project = requests.hook_name(application.project, hook), application.project
        there = {key: one for key, one in self._engine.hooks(project).items() if key[0] == name}
        mine = there.get((name, deployment))
        if mine and (mine.running or (mine.state is ContainerState.EXITED and not mine.exit_code)):
            return mine
        self.remove(list(there.values()))
        service, one = (
            application.service(hook.service),
            self._replica_requests.recorded(application, hook.service),
        )
        assert service and service.image
        image = self._engine.image_id(service.image)
        place = requests.ContainerIdentity(name, 1, image, str(self._compose.path(project)), {})
        body = requests.hook_body(one, service, hook, place, deployment)
        present = self._replica_requests.present(application, self._engine.observe(project))
        permitted = self._replica_requests.permit(application, service, name, body, present, one.archives)
        self._engine.create(permitted)
        made = self._engine.hooks(project)[name, deployment]
        self._engine.start(made)
        return made

    def begin_copy(self, application: DesiredState, service: str, old: Replica | None) -> Replica:
        project, name = application.project, name_of_copy(application.project, service)
        self.end_copy(project)
        details = self._engine.details(old) if old else None
        self._engine.create(self._replica_requests.copy(application, service, name, details))
        made = self._engine.hooks(project)[name, COPY]
        self._engine.start(made)
        return made

    def end_copy(self, project: str) -> None:
        for (_, deployment), replica in self._engine.hooks(project).items():
            if deployment == COPY:
                self._engine.remove(replica, volumes=True)

    def has_hooks(self, project: str, deployment: str) -> bool:
        return any(of == deployment for _, of in self._engine.hooks(project))

    def end_hooks(self, project: str) -> None:
        for replica in self._engine.hooks(project).values():
            self._engine.remove(replica, volumes=True)

    def look(self, replica: Replica) -> Replica | None:
        return self._engine.look(replica)

    def clear(self, project: str) -> None:
        replicas = self._engine.observe(project)
        if all(replica.service == EDGE for replica in replicas):
            self.remove(replicas)
            self._engine.remove_networks(project)

    def reconcile(self, application: DesiredState) -> None:
        """After a rollout: the model on disk is the one that runs, and the edge knows no other routes."""
        if any(service.publishes for service in application.services):
            self._handover.clear(application.project, self._engine.observe(application.project))
        self._compose.save(application)
        for service in application.services:
            name = requests.own_name(application, service) if service.image else ""  # the edge has none
            if name and (tag := permit_tag(name, service, application.permissions)):
                self._engine.tag(tag)
        named = any(requests.fixed_name(application, service.name) for service in application.services)
        for replica in self._engine.observe(application.project) if named else ():
            fixed = requests.fixed_name(application, replica.service)
            if fixed and replica.name == requests.next_name(application.project, fixed):
                self._engine.rename(replica, permit_name(fixed, application.permissions))
        if application.routes:
            self._edge(application.project).reconcile(application.routes)

    def watch(self, endpoints: Sequence[Endpoint]) -> AvailabilityProbe:
        """Ports of another machine's engine are not at this machine's addresses."""
        return AvailabilityProbe(endpoints if self._engine.is_here else ()).start()

    def log_tail(self, replica: Replica) -> str:
        return self._engine.log_tail(replica)

    def _edge(self, project: str) -> Edge:
        return Edge(self._edges / project, self._owner)

    def _ask(self, project: str, service: Service, replica: Replica) -> str:
        if service.name == EDGE:
            return ANSWERED if self._edge(project).alive() else "no answer on its socket"
        if not replica.running or not replica.addresses:
            return ""
        if service.probe:
            answer = ask_http(address_of(replica), service.probe)
            if answer == ANSWERED:
                self._reached.add((project, service.name))
            return answer
        answers = [ask_tcp(address_of(replica), port) for port in service.asks]
        if not answers or ANSWERED in answers:
            return ANSWERED if answers else ""
        return "" if service.presumed else answers[0]

    def _each(
        self, act: Callable[[_Thing], object], things: Sequence[_Thing], at_once: int = _AT_ONCE
    ) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(act, things))


def _owner_of(state: Path) -> tuple[int, int]:
    """User and group of the edge: those of this process, which alone can read its files. Root stands in for
    the owner of the state folder, or gives the edge the image's own user.
    """
    user, group = os.geteuid(), os.getegid()
    if not user:
        status = state.stat()
        user, group = status.st_uid, status.st_gid
    return (user or HAPROXY_USER, group or HAPROXY_USER)
