"""Docker engine over its API: its containers, images and networks, and the host that it runs on."""

from __future__ import annotations

from deployer.adapters.docker.engine_connection import TIMEOUT, EngineConnection
from deployer.adapters.docker.engine_containers import Containers
from deployer.adapters.docker.engine_host import EngineHost
from deployer.adapters.docker.engine_images import PULL_LIMIT, Images
from deployer.adapters.docker.engine_networks import Networks


class Engine:
    """The collaborators of one Docker engine over one connection."""

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: int = TIMEOUT,
        pull_deadline: float = PULL_LIMIT,
        listen: str = "",
    ) -> None:
        self.connection = EngineConnection(address, timeout=timeout)
        self.containers = Containers(self.connection)
        self.images = Images(self.connection, pull_deadline)
        self.networks = Networks(self.connection)
        self.host = EngineHost(self.connection, listen)
