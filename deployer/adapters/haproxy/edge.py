"""The HAProxy in front of one project: its folder and its sockets, its configuration and its traffic."""

from __future__ import annotations

from pathlib import Path

from deployer.adapters.haproxy.edge_configuration import EdgeConfiguration
from deployer.adapters.haproxy.edge_folder import EdgeFolder
from deployer.adapters.haproxy.edge_traffic import EdgeTraffic
from deployer.adapters.haproxy.runtime_socket import RuntimeSocket


class Edge:
    """The collaborators of one project's edge."""

    def __init__(self, folder: Path, owner: tuple[int, int]) -> None:
        self._runtime = RuntimeSocket(folder)
        files = EdgeFolder(folder, owner)
        self.configuration = EdgeConfiguration(files, self._runtime)
        self.traffic = EdgeTraffic(files, self._runtime)

    def is_running(self) -> bool:
        """True if the edge's worker and its master answer."""
        return bool(self._runtime.fingerprint())
