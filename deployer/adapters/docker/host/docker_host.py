"""Docker engine as a container host: one object for each role, which share engine, Compose and edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.host.container_runtime import DockerRuntime
from deployer.adapters.docker.host.hook_containers import DockerHooks
from deployer.adapters.docker.host.image_store import DockerImages
from deployer.adapters.docker.host.project_edges import ProjectEdges
from deployer.adapters.docker.host.replica_readiness import ReplicaReadiness
from deployer.adapters.docker.host.traffic_router import DockerRouter
from deployer.adapters.docker.replica_requests import ReplicaRequests
from deployer.adapters.probes.availability_probe import AvailabilityProbe
from deployer.core.compose.endpoints import Endpoint
from deployer.core.model import Bundle, Replica
from deployer.core.ports.container_host import ContainerHost


def docker_host(
    engine: Engine,
    compose: Compose,
    state: Path,
    edge_image: str,
    certificates: Mapping[str, str] | None = None,
) -> ContainerHost:
    """Returns the host's roles. `certificates`: project → its folder of certificates."""
    edges = ProjectEdges(state, edge_image, certificates)
    readiness = ReplicaReadiness(engine, edges)
    requests = ReplicaRequests(engine, compose)
    return ContainerHost(
        runtime=DockerRuntime(engine, requests, edges, readiness),
        readiness=readiness,
        images=DockerImages(engine),
        router=DockerRouter(engine, compose, edges, readiness),
        hooks=DockerHooks(engine, compose, requests),
        files=_BundleFiles(engine, compose),
        locks=_ComposeLocks(compose),
    )


class _BundleFiles:
    """Implements `ReleaseFiles`."""

    def __init__(self, engine: Engine, compose: Compose) -> None:
        self._engine = engine
        self._compose = compose

    def keep_files(self, bundles: Sequence[Bundle]) -> int:
        return self._compose.folders.keep(bundles, self._engine.containers.mounted_paths())

    def keep_written(self, replica: Replica) -> Mapping[str, Sequence[str]]:
        found = {path: self._compose.folders.keep_written(source) for path, source in replica.writes.items()}
        return {path: copies for path, copies in found.items() if copies}


class _ComposeLocks:
    """Implements `ProjectLock`."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        return self._compose.locks.exclusive(project, wait)


class PortProber:
    """Implements `AvailabilityProber`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def watch(self, endpoints: Sequence[Endpoint]) -> AvailabilityProbe:
        """Starts a probe; without endpoints for another machine's engine, whose ports are not at this
        machine's addresses.
        """
        return AvailabilityProbe(endpoints if self._engine.connection.is_here else ()).start()
