"""Permissions of one project on its engine. In: the settings. Out: the rules for every request that is posted
to the engine (`docker/engine_requests.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from deployer.core.host_ports import HostPort
from deployer.core.permissions.foreign_names import Projects, owner_of
from deployer.core.permissions.grants import Asked, refuse
from deployer.core.permissions.host_access import PRIVATE_SUBNETS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Neighbourhood:
    """Other projects and networks by which a project's names and subnets are judged: the projects of all
    configured environments, the subnets that networks may take, and `seen`, the projects on the engine with
    the services of each.
    """

    projects: frozenset[str] = frozenset()
    subnets: tuple[str, ...] = PRIVATE_SUBNETS
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    @property
    def known(self) -> Projects:
        """Returns all projects with their services, empty if they are not known."""
        return {**dict.fromkeys(self.projects, frozenset()), **self.seen}

    def owns(self, project: str, name: str) -> bool:
        """True if a volume or network is the project's: `shop_old_data` belongs to `shop` unless there is a
        `shop_old`.
        """
        return owner_of(name, {project, *self.known}) == project


ALONE = Neighbourhood()


@dataclass(frozen=True)
class Permissions:
    """Permissions that the settings give to a project. `granted`: grants of the settings' table `setting`.
    `readable`: the release's own files, which containers may mount read-only; `writable`: folders that only
    the edge mounts.
    """

    project: str
    granted: frozenset[str] = frozenset()
    setting: str = ""
    around: Neighbourhood = ALONE
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def allows_network(self, name: str) -> bool:
        """True if the network is the project's own, or granted."""
        given = {f"network:{name}", f"network_mode:{name}"}
        return self._owns(name) or bool(given & self.granted)

    def allows_volume(self, name: str) -> bool:
        """True if the named volume is the project's own, or granted."""
        return self._owns(name) or f"volume:{name}" in self.granted

    def _owns(self, name: str) -> bool:
        """True if the name belongs to the project and not to a project with a longer name. A slash in it
        would change the path of an API request.
        """
        return self.around.owns(self.project, name) and _NAME.fullmatch(name) is not None

    def beside(self, seen: Mapping[str, frozenset[str]]) -> Permissions:
        """Returns the same permissions beside the projects on the engine, with their services."""
        return replace(self, around=replace(self.around, seen=seen))

    def refuse(self, asked: Collection[Asked]) -> None:
        """Raises PowerRefused with every requested grant that the settings do not give."""
        refuse(asked, self.granted, self.setting, sent=True)


@dataclass(frozen=True)
class Present:
    """State of the engine that permissions depend on: ids and names of the project's own containers, names of
    anonymous volumes that one of them hands on, host ports at which the deployer itself listens, and the
    subnets (CIDR) that the host reaches by other routes than the engine's networks.
    """

    containers: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    ports: tuple[HostPort, ...] = ()
    routes: tuple[str, ...] = ()


NOTHING_PRESENT = Present()
