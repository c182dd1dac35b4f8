"""Containers of one engine. In: an application, replicas. Out: containers created, started, stopped, removed.
`core/` chooses which replicas exist.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.host.project_edges import ProjectEdges
from deployer.adapters.docker.host.replica_readiness import ReplicaReadiness
from deployer.adapters.docker.inspection import address_of, with_serving
from deployer.adapters.docker.port_handover import Handover, holds_networks
from deployer.adapters.docker.replica_requests import ReplicaRequests
from deployer.core.model import Health, ObservedState, Replica
from deployer.core.rollout.conflicts import Occupied
from deployer.core.rollout.desired_state import EDGE, DesiredState

_AT_ONCE = 8
# An engine that gets ten starts at once begins with any of them, and each takes longer. The first of many
# starts alone, as all others wait for it.
_STARTS = max(2, os.cpu_count() or 2)
_Thing = TypeVar("_Thing")


class DockerRuntime:
    """Implements `ContainerRuntime`."""

    def __init__(
        self, engine: Engine, requests: ReplicaRequests, edges: ProjectEdges, readiness: ReplicaReadiness
    ) -> None:
        self._engine = engine
        self._requests = requests
        self._edges = edges
        self._readiness = readiness
        self._handover = Handover(engine.containers, engine.networks)

    def answers(self) -> bool:
        return self._engine.connection.ping()

    def observe(self, project: str) -> ObservedState:
        replicas = self._engine.containers.observe(project)
        routes = self._edges.of(project).traffic.slots()
        served = {name: {slot.address for slot in slots if slot.open} for name, slots in routes.items()}
        return ObservedState(tuple(with_serving(replica, served) for replica in replicas))

    def occupied(self, project: str) -> Occupied:
        return self._engine.host.occupied(project)

    def create(self, application: DesiredState, counts: Mapping[str, int]) -> None:
        present = self.observe(application.project).replicas
        wanted = list(self._requests.requests(application, counts, present, self._readiness.reached))
        if application.routes:  # after Compose, which makes the networks
            self._prepare_edge(application, present)
        _each(self._engine.containers.create, wanted)

    def _prepare_edge(self, application: DesiredState, present: Sequence[Replica]) -> None:
        peers = self._engine.networks.bridges(self._requests.edge_networks(application))
        running: dict[str, list[str]] = {}
        for replica in present:
            if replica.running and replica.addresses and replica.health is not Health.UNHEALTHY:
                running.setdefault(replica.service, []).append(address_of(replica))
        certificates = self._edges.certificates(application)
        configuration = self._edges.of(application.project).configuration
        configuration.prepare(application.routes, certificates, peers, running)

    def start(self, project: str, replicas: Sequence[Replica]) -> None:
        present = self._engine.containers.observe(project)
        running = [replica for replica in present if replica.running]
        alive = {(one.service, address) for one in running for address in one.addresses.values()}
        self._edges.of(project).traffic.close_all_but(alive)
        held = {one.service for one in present if holds_networks(one)}
        successors = [replica for replica in replicas if replica.port_successor and replica.service in held]
        self._handover.park(project, successors)
        alone = int(len(replicas) > _STARTS)
        _each(self._engine.containers.start, replicas[:alone], 1)
        _each(self._engine.containers.start, replicas[alone:], _STARTS)

    def stop(self, project: str, replica: Replica, grace: float) -> None:
        edge = self._edges.of(project)
        behind = replica.service != EDGE and replica.addresses and edge.is_running()
        addresses = list(replica.addresses.values())
        if behind:
            edge.traffic.close(addresses)
        self._engine.containers.stop(replica, grace)
        if behind:
            edge.traffic.end_sessions(addresses)

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        _each(partial(self._engine.containers.remove, volumes=volumes), replicas)

    def log_tail(self, replica: Replica) -> str:
        return self._engine.containers.log_tail(replica)


def _each(act: Callable[[_Thing], object], things: Sequence[_Thing], at_once: int = _AT_ONCE) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(act, things))
