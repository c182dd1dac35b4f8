"""Host ports that go from one container to another while both run. In: replicas. Out: the new one on its
networks, the old one off them.

The engine publishes a container's ports when it gets a network that leads outside. So a new replica starts on
an internal network, aside, while the old one holds the ports, becomes ready there, and gets networks and
ports once the old one has left them: 0.1 to 0.2 s in which nobody answers, where a stop, a start and the
application's own start-up take 1.4 s and more. What the old one was answering is cut.
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
_Wanted = Mapping[str, Sequence[PermittedEndpoint]]  # id of a container → its places
_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds between tries to start a container whose port somebody else took
_SETTINGS = ("Aliases", "IPAMConfig", "Links", "DriverOpts")


class Handover:
    """Moves host ports between containers of one Docker engine."""

    def __init__(self, containers: Containers, networks: Networks) -> None:
        self._containers = containers
        self._networks = networks

    def set_aside(self, project: str, replicas: Sequence[Replica]) -> None:
        """Parks replicas that do not run yet: they wait for their networks."""
        self._part(replicas, project)
        self._shelter(project, replicas)

    def give(
        self,
        permissions: Permissions,
        coming: Sequence[Replica],
        going: Sequence[Replica],
        networks: Collection[str],
        present: Present = NOTHING_PRESENT,
    ) -> None:
        """`networks`: names of those that the service may be on; a label never leads to others. Raises
        PowerRefused with nothing changed, ContainerRefused or EngineUnavailable, with the old ones back on
        their networks where the engine lets them.
        """
        project = permissions.project
        known = {*networks, *(name for replica in going for name in self._has(replica))}
        wanted: dict[str, list[PermittedEndpoint]] = {}
        for replica in (*coming, *going):
            named = [(name, one) for name, one in self._wants(replica).items() if name in known]
            judge = _least_endpoint if replica in going else permit_endpoint
            places = [judge(name, one, permissions, present) for name, one in named]
            wanted[replica.id] = [place for place in places if place]
        self._shelter(project, going)  # there it can be asked whether it is well, should it have to come back
        spoilt = [replica for replica in coming if self._has(replica).keys() - {project + ASIDE}]
        try:
            self._part(going, project)
            self._mend(spoilt)
            self._join(coming, wanted)
            self._mend(coming)
        except DeployerError:
            with suppress(DeployerError):
                self._part(coming, project)
            for replica in going:
                self._bring_back(replica, wanted)
            raise
        for replica in coming:
            if project + ASIDE in self._has(replica):
                self._networks.disconnect(replica, project + ASIDE)

    def _bring_back(self, replica: Replica, wanted: _Wanted) -> None:
        """Onto its networks; a new start is the last resort."""
        try:
            self._join([replica], wanted)
        except DeployerError:
            with suppress(DeployerError):
                self._revive(replica)
                self._join([replica], wanted)

    def _mend(self, replicas: Sequence[Replica]) -> None:
        """Restarts replicas without the host ports that they ask for: an earlier connect was refused."""
        for replica in replicas:
            if lacks_ports(self._containers.details(replica)):
                self._revive(replica)

    def _revive(self, replica: Replica) -> None:
        """A refused connect leaves half an interface in the container, with which it can never be connected
        again, although `inspect` says that it is; only a new start helps. Where the port still is
        another's, the container is left stopped, so that everybody sees what it is. Raises ContainerRefused.
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

    def _shelter(self, project: str, replicas: Sequence[Replica]) -> None:
        name, own = project + ASIDE, Permissions(project)
        if replicas:
            labels = {ComposeLabel.PROJECT: project}
            body = {"Name": name, "Driver": "bridge", "Internal": True, "Labels": labels}
            self._networks.create(permit_network(body, own))
        for replica in replicas:
            if name not in self._has(replica):
                self._networks.connect(replica, permit_endpoint(name, {}, own))

    def _part(self, replicas: Sequence[Replica], project: str) -> None:
        """From all networks but the one aside."""
        for replica in replicas:
            for network in sorted(self._has(replica).keys() - {project + ASIDE}):
                self._networks.disconnect(replica, network)

    def _join(self, replicas: Sequence[Replica], wanted: _Wanted) -> None:
        for replica in replicas:
            have = self._has(replica)
            for place in wanted[replica.id]:
                if place.network not in have:
                    self._networks.connect(replica, place)

    def _has(self, replica: Replica) -> _Networks:
        """Networks of a replica, by the engine's inspection."""
        found: _Networks = self._containers.details(replica).get("NetworkSettings", {}).get("Networks") or {}
        return found

    def _wants(self, replica: Replica) -> _Networks:
        """As it was made for them; one from before it took ports over has those it is on, or was made on."""
        details = self._containers.details(replica)
        labels: Mapping[str, str] = details.get("Config", {}).get("Labels") or {}
        if NETWORKS_LABEL in labels:
            return endpoints_of_label(labels[NETWORKS_LABEL])
        has = {name: one for name, one in self._has(replica).items() if not name.endswith(ASIDE)}
        if not details:
            return {}
        if not has:
            return {str(details["HostConfig"]["NetworkMode"]): {"Aliases": [replica.service]}}
        return {name: {key: one[key] for key in _SETTINGS if one.get(key)} for name, one in has.items()}


def _least_endpoint(
    network: str, settings: Mapping[str, Any], permissions: Permissions, present: Present
) -> PermittedEndpoint | None:
    """The place of a container that served before: without settings that are not granted any more, so that it
    can come back; None on a network that its project may not be on any more.
    """
    least = {key: settings[key] for key in ("Aliases", "IPAMConfig") if settings.get(key)}
    for wanted in (settings, least):
        with suppress(PowerRefused):
            return permit_endpoint(network, wanted, permissions, present)
    return None


def holds_networks(replica: Replica) -> bool:
    """True if a running replica is on a network of its own service."""
    return any(not name.endswith(ASIDE) for name in replica.addresses)
