"""Hand-over of host ports between two running containers. In: replicas. Out: the new replica on its networks,
the old one disconnected.

The engine publishes a container's ports when it connects it to an external network. So a new replica starts
parked on an internal network while the old replica holds the ports, becomes ready there, and gets networks
and ports once the old replica has left them: a gap of 0.1 to 0.2 s, where a stop, a start and the
application's own start-up take 1.4 s and more. Requests in flight at the old replica are cut.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from deployer.adapters.docker.engine_containers import Containers
from deployer.adapters.docker.engine_networks import Networks
from deployer.adapters.docker.inspection import lacks_ports
from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import NETWORKS_LABEL, endpoints_of_label
from deployer.core.docker.network_requests import PermittedEndpoint, permit_endpoint, permit_network
from deployer.core.errors import DeployerError
from deployer.core.model import Replica
from deployer.core.permissions.grants import PowerRefused
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Permissions, Present
from deployer.core.rollout.desired_state import ASIDE

_Networks = Mapping[str, Mapping[str, Any]]  # name → settings of the container's endpoint
_Wanted = Mapping[str, Sequence[PermittedEndpoint]]  # id of a container → its endpoints
_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds between tries to start a container whose port is taken
_SETTINGS = ("Aliases", "IPAMConfig", "Links", "DriverOpts")


class Handover:
    """Moves host ports between containers of one Docker engine."""

    def __init__(self, containers: Containers, networks: Networks) -> None:
        self._containers = containers
        self._networks = networks

    def park(self, project: str, replicas: Sequence[Replica]) -> None:
        """Parks replicas that do not run yet: on the internal network, off their own ones."""
        self._disconnect(replicas, project)
        self._connect_parked(project, replicas)

    def give(
        self,
        permissions: Permissions,
        coming: Sequence[Replica],
        going: Sequence[Replica],
        networks: Collection[str],
        present: Present = NOTHING_PRESENT,
    ) -> None:
        """Moves networks and host ports from `going` to `coming`. `networks`: names of the networks that the
        service may be on; a label never adds others. Raises PowerRefused with nothing changed, or
        ContainerRefused or EngineUnavailable after an attempt to reconnect the old replicas.
        """
        project = permissions.project
        known = {*networks, *(name for replica in going for name in self._networks_of(replica))}
        wanted: dict[str, list[PermittedEndpoint]] = {}
        for replica in (*coming, *going):
            named = [(name, one) for name, one in self._wanted_networks(replica).items() if name in known]
            judge = _permit_old_endpoint if replica in going else permit_endpoint
            places = [judge(name, one, permissions, present) for name, one in named]
            wanted[replica.id] = [place for place in places if place]
        self._connect_parked(project, going)  # its health must stay visible in case it has to come back
        connected = [replica for replica in coming if self._networks_of(replica).keys() - {project + ASIDE}]
        try:
            self._disconnect(going, project)
            self._restart_unpublished(connected)
            self._connect(coming, wanted)
            self._restart_unpublished(coming)
        except DeployerError:
            with suppress(DeployerError):
                self._disconnect(coming, project)
            for replica in going:
                self._bring_back(replica, wanted)
            raise
        for replica in coming:
            if project + ASIDE in self._networks_of(replica):
                self._networks.disconnect(replica, project + ASIDE)

    def _bring_back(self, replica: Replica, wanted: _Wanted) -> None:
        """Connects a replica to its networks again, after a restart if the engine refuses."""
        try:
            self._connect([replica], wanted)
        except DeployerError:
            with suppress(DeployerError):
                self._restart(replica)
                self._connect([replica], wanted)

    def _restart_unpublished(self, replicas: Sequence[Replica]) -> None:
        """Restarts replicas without the host ports that they ask for: an earlier connect was refused."""
        for replica in replicas:
            if lacks_ports(self._containers.details(replica)):
                self._restart(replica)

    def _restart(self, replica: Replica) -> None:
        """Restarts a replica after a refused connect: that leaves half an interface in the container, which
        `inspect` shows as connected and which prevents any later connect. If the port is still taken, the
        container stays stopped, so that its state is visible. Raises ContainerRefused.
        """
        for wait in _WAITS:
            with suppress(DeployerError):
                self._containers.restart(replica)
                return
            time.sleep(wait)
        self._containers.restart(replica)

    def clear(self, project: str, replicas: Sequence[Replica]) -> None:
        """Ends the hand-over: disconnects every replica from the network of parked ones and removes it."""
        for replica in replicas:
            if project + ASIDE in replica.addresses and holds_networks(replica):
                self._networks.disconnect(replica, project + ASIDE)
        self._networks.remove(project + ASIDE)

    def _connect_parked(self, project: str, replicas: Sequence[Replica]) -> None:
        name, own = project + ASIDE, Permissions(project)
        if replicas:
            labels = {ComposeLabel.PROJECT: project}
            body = {"Name": name, "Driver": "bridge", "Internal": True, "Labels": labels}
            self._networks.create(permit_network(body, own))
        for replica in replicas:
            if name not in self._networks_of(replica):
                self._networks.connect(replica, permit_endpoint(name, {}, own))

    def _disconnect(self, replicas: Sequence[Replica], project: str) -> None:
        """Disconnects replicas from all networks except the internal one."""
        for replica in replicas:
            for network in sorted(self._networks_of(replica).keys() - {project + ASIDE}):
                self._networks.disconnect(replica, network)

    def _connect(self, replicas: Sequence[Replica], wanted: _Wanted) -> None:
        for replica in replicas:
            have = self._networks_of(replica)
            for place in wanted[replica.id]:
                if place.network not in have:
                    self._networks.connect(replica, place)

    def _networks_of(self, replica: Replica) -> _Networks:
        """Returns a replica's networks by the engine's inspection."""
        found: _Networks = self._containers.details(replica).get("NetworkSettings", {}).get("Networks") or {}
        return found

    def _wanted_networks(self, replica: Replica) -> _Networks:
        """Returns the networks in a replica's label; without the label the networks that it is on or was made
        on.
        """
        details = self._containers.details(replica)
        labels: Mapping[str, str] = details.get("Config", {}).get("Labels") or {}
        if NETWORKS_LABEL in labels:
            return endpoints_of_label(labels[NETWORKS_LABEL])
        has = {name: one for name, one in self._networks_of(replica).items() if not name.endswith(ASIDE)}
        if not details:
            return {}
        if not has:
            return {str(details["HostConfig"]["NetworkMode"]): {"Aliases": [replica.service]}}
        return {name: {key: one[key] for key in _SETTINGS if one.get(key)} for name, one in has.items()}


def _permit_old_endpoint(
    network: str, settings: Mapping[str, Any], permissions: Permissions, present: Present
) -> PermittedEndpoint | None:
    """Permits the endpoint of a container that served before, without settings that are not granted any more,
    so that it can come back. None for a network that its project may not be on any more.
    """
    least = {key: settings[key] for key in ("Aliases", "IPAMConfig") if settings.get(key)}
    for wanted in (settings, least):
        with suppress(PowerRefused):
            return permit_endpoint(network, wanted, permissions, present)
    return None


def holds_networks(replica: Replica) -> bool:
    """True if a running replica is on a network of its own service."""
    return any(not name.endswith(ASIDE) for name in replica.addresses)
