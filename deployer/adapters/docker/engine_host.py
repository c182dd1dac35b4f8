"""The host of one Docker engine: ports, names and routes that are taken there, the folder of the images."""

from __future__ import annotations

from dataclasses import replace

from deployer.adapters.docker.engine_connection import EngineConnection
from deployer.adapters.docker.engine_errors import answering
from deployer.adapters.docker.inspection import gateways_of, occupied_by_others
from deployer.adapters.docker.listening_ports import reserved_ports, taken_here
from deployer.adapters.system.host_routes import host_routes
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Present
from deployer.core.rollout.conflicts import Occupied


class EngineHost:
    """Ports, names and routes that are taken on the engine's host. `listen`: the receiver's own
    `ADDRESS:PORT`, which no container may publish.
    """

    def __init__(self, connection: EngineConnection, listen: str = "") -> None:
        self._connection = connection
        self.listen = listen

    def occupied(self, project: str) -> Occupied:
        """Returns host ports, names and projects of foreign containers, and ports of processes if the engine
        is on this machine.
        """
        client, is_here = self._connection.client, self._connection.is_here
        with answering("list what is taken"):
            listed = client.containers(all=True)
            networks, volumes = client.networks(), client.volumes()["Volumes"] or ()
        processes = taken_here(gateways_of(networks), self.listen) if is_here else ()
        found = occupied_by_others(project, listed, networks, volumes, processes)
        return replace(found, routes=host_routes(networks) if is_here else ())

    def reserved(self) -> Present:
        """Returns the host's ports and routes that no request may take."""
        if not self._connection.is_here:
            return NOTHING_PRESENT
        with answering("list networks"):
            networks = self._connection.client.networks()
        ports = reserved_ports(gateways_of(networks), self.listen)
        return Present(ports=ports, routes=host_routes(networks))

    def image_folder(self) -> str:
        """Returns the folder in which the engine keeps its images, a path of its own host."""
        with answering("info"):
            return str(self._connection.client.info()["DockerRootDir"])
