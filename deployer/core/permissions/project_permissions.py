"""Permissions of one project on its engine. In: the settings. Out: the measure by which every request that is
posted to the engine is judged (`engine_requests.py`).
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
    """The surroundings of a project that its names and subnets are judged by: the projects of all configured
    environments, the subnets that networks may take, and `seen`, the projects that the engine has with the
    services of each.
    """

    projects: frozenset[str] = frozenset()
    subnets: tuple[str, ...] = PRIVATE_SUBNETS
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    @property
    def known(self) -> Projects:
        """All projects with their services, as far as these are known."""
        return {**dict.fromkeys(self.projects, frozenset()), **self.seen}

    def owns(self, project: str, name: str) -> bool:
        """True if a volume or network is the project's: `shop_old_data` belongs to `shop` unless there is a
        `shop_old`.
        """
        return owner_of(name, {project, *self.known}) == project


ALONE = Neighbourhood()


@dataclass(frozen=True)
class Permissions:
    """The settings' part. `granted`: grants of the settings' table `setting`. `readable`: folders of the
    deployer that containers may mount read-only, the release's own files; `writable`: those that only the
    edge mounts.
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
        """True if the name is one of the project's and of no project with a longer name. A slash in it would
        lead on in the engine's API.
        """
        return self.around.owns(self.project, name) and _NAME.fullmatch(name) is not None

    def beside(self, seen: Mapping[str, frozenset[str]]) -> Permissions:
        """The same permissions among the projects that the engine has, with their services."""
        return replace(self, around=replace(self.around, seen=seen))

    def refuse(self, asked: Collection[Asked]) -> None:
        """Raises PowerRefused with every grant that is asked for and not given."""
        refuse(asked, self.granted, self.setting, sent=True)


@dataclass(frozen=True)
class Present:
    """The part that changes: ids and names of the project's own containers, the names of the nameless volumes
    that one of them hands on, ports of the host that the deployer itself listens at, and the subnets that the
    host reaches otherwise than by a network of the engine, as CIDR.
    """

    containers: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    ports: tuple[HostPort, ...] = ()
    routes: tuple[str, ...] = ()


NOTHING_PRESENT = Present()
