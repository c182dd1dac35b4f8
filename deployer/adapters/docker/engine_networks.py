"""Networks of one Docker engine. In: names and permitted requests. Out: networks made and removed, containers
connected and disconnected.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress

from docker.errors import APIError

from deployer.adapters.docker.engine_connection import EngineConnection
from deployer.adapters.docker.engine_errors import answering, gone_is_fine, refusing
from deployer.adapters.docker.inspection import peer_networks
from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.network_requests import PermittedEndpoint, PermittedNetwork
from deployer.core.model import Replica


class Networks:
    """Lists, creates and removes networks of one engine, and connects replicas to them."""

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection

    def ids(self) -> dict[str, str]:
        """Returns name → id of all networks."""
        with answering("list networks"):
            listed = self._connection.client.networks()
        return {str(network["Name"]): str(network["Id"]) for network in listed}

    def bridges(self, names: Collection[str]) -> tuple[PeerNetwork, ...]:
        """Returns the IPv4 pools of the bridges among these networks: containers and the host alone have an
        address there.
        """
        with answering("list networks"):
            return peer_networks(self._connection.client.networks(), names)

    def create(self, permitted: PermittedNetwork) -> None:
        """Creates a network unless one of its name exists."""
        name = permitted.name
        with answering(f"create network {name}"):
            if not self._connection.client.networks(names=[f"^{re.escape(name)}$"]):
                self._connection.post("/networks/create", json=permitted.body)

    def remove(self, name: str) -> None:
        """Removes a network unless a container is connected to it."""
        with answering(f"remove network {name}"), suppress(APIError):
            self._connection.client.remove_network(name)

    def remove_unused(self, project: str) -> None:
        """Removes the project's networks that no container is connected to."""
        client = self._connection.client
        with answering("remove networks"):
            for network in client.networks(filters={"label": f"{ComposeLabel.PROJECT}={project}"}):
                with suppress(APIError):
                    client.remove_network(network["Id"])

    def connect(self, replica: Replica, permitted: PermittedEndpoint) -> None:
        """Connects a replica to a network. Raises ContainerRefused if its address, or a host port that it
        publishes by this network, is taken.
        """
        network = permitted.network
        with answering(f"connect {replica.name} to {network}"), refusing(f"{replica.name} is refused"):
            body = {"Container": replica.id, "EndpointConfig": permitted.settings}
            self._connection.post(f"/networks/{network}/connect", json=body)

    def disconnect(self, replica: Replica, network: str) -> None:
        """Disconnects a replica from a network; no error if it is not on it. After a connect that it refused,
        the engine's inspection says wrongly that the replica is on the network.
        """
        with answering(f"disconnect {replica.name} from {network}"), gone_is_fine():
            try:
                self._connection.client.disconnect_container_from_network(replica.id, network)
            except APIError as error:
                if "is not connected to network" not in str(error.explanation):
                    raise
