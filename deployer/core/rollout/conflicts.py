"""Conflicts over host ports, names, networks and volumes. In: an application, what is taken on its
target. Out: nothing, or the conflict as an error with a code of its own.

Judged before anything is touched: the engine would find out too, but when half of the new replicas exist.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.core.compose.project_names import ComposeProject
from deployer.core.errors import ExternalMissing, NameTaken, PortTaken, SubnetTaken
from deployer.core.host_ports import HostPort, host_ports_of
from deployer.core.permissions.foreign_names import container_name, is_default
from deployer.core.permissions.grants import Asked
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.rollout.desired_state import DesiredState

_PROCESS = "a process of this machine"


@dataclass(frozen=True)
class Held:
    """Host port with its holder."""

    address: str  # of the host; empty for all
    port: int
    protocol: str
    holder: str = _PROCESS

    @property
    def at(self) -> HostPort:
        return HostPort(self.address, self.port, self.port, self.protocol)


@dataclass(frozen=True)
class Occupied:
    """Names, ports and routes that others hold on the target, and networks and volumes that can be shared."""

    ports: tuple[Held, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # container → the project it belongs to, or empty
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    projects: Mapping[str, ComposeProject] = field(default_factory=dict)  # of all there are, by name
    routes: tuple[str, ...] = ()  # subnets and addresses that the host itself reaches otherwise, as CIDR


def refuse_conflicts(application: DesiredState, occupied: Occupied) -> None:
    """Raises PortTaken, NameTaken or ExternalMissing for the first conflict, in the file's order, and
    PowerRefused for a volume, a network or a container's name of a project that only the engine knows.
    """
    document = application.document
    tables: Mapping[str, Mapping[str, Any]] = document.get("services") or {}
    _refuse_twice(tables)
    for name, table in tables.items():
        _refuse_name(name, str(table.get("container_name") or ""), application.project, occupied)
        for wanted in host_ports_of(table):
            _refuse_port(name, wanted, occupied)
    for name, table in (document.get("networks") or {}).items():
        pools = ((table or {}).get("ipam") or {}).get("config") or ()
        refuse_subnets(name, _texts_of(pools), occupied.routes)
    for kind, there in (("network", occupied.networks), ("volume", occupied.volumes)):
        for name in _external(document.get(f"{kind}s") or {}):
            if name not in there:
                raise ExternalMissing(
                    f"the {kind} {name}, which the Compose file calls external, does not exist here",
                    hint=f"`docker {kind} create {name}` makes it; Compose makes none that is external",
                )
    permissions = beside(application, occupied).permissions
    permissions.refuse(list(_of_others(application, permissions)))


def beside(application: DesiredState, occupied: Occupied) -> DesiredState:
    """The application with permissions that know the projects of the engine, configured or not."""
    seen = {name: one.services for name, one in occupied.projects.items()}
    return replace(application, permissions=application.permissions.beside(seen))


def _of_others(application: DesiredState, permissions: Permissions) -> Iterator[Asked]:
    """Names of the model that another project's volume, network or container has or may need."""
    project, document, known = application.project, application.document, permissions.around.known
    for name, table in (document.get("services") or {}).items():
        fixed = str(table.get("container_name") or "")
        yield from ((f"service {name}", grant) for grant in container_name(fixed, project, known))
    for kind, allows in (("volume", permissions.allows_volume), ("network", permissions.allows_network)):
        for key, table in (document.get(f"{kind}s") or {}).items():
            called = str((table or {}).get("name") or f"{project}_{key}")
            if called.startswith(f"{project}_") and not allows(called):
                yield f"{kind} {key}", f"{kind}:{called}"


def _refuse_name(service: str, fixed: str, project: str, occupied: Occupied) -> None:
    """A fixed name has one container; by default each replica's name must be free."""
    taken = [fixed] if fixed in occupied.names else []
    if not fixed:
        taken = [name for name in sorted(occupied.names) if is_default(name, project, service)]
    if taken:
        other = occupied.names[taken[0]]
        whose = f"a container of project {other}" if other else "a container of somebody else"
        leave = "leave container_name out: Compose names containers by project; or rename one of the two"
        raise NameTaken(
            f"service {service} has the container_name {fixed}, which {whose} has"
            if fixed
            else f"service {service} needs the name {taken[0]} for its container, which {whose} has",
            hint=leave if fixed else "rename the service, or that container",
        )


def _texts_of(pools: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Addresses of a rendered network's pools."""
    for pool in pools:
        yield from (str(pool[key]) for key in ("subnet", "gateway", "ip_range") if pool.get(key))


def refuse_subnets(network: str, texts: Iterable[str], routes: Iterable[str]) -> None:
    """Raises SubnetTaken: a network whose subnet holds addresses that the host reaches otherwise would take
    them away from it, and from every other application.
    """
    taken = [ipaddress.ip_network(route, strict=False) for route in routes]
    for text in texts:
        wanted = ipaddress.ip_network(text, strict=False)
        for route in taken:
            if wanted.version == route.version and wanted.overlaps(route):
                raise SubnetTaken(
                    f"network {network} has {text}, and the server reaches {route} otherwise",
                    hint="leave `ipam` out, or choose a subnet that nothing else uses: `ip route`",
                )


def _refuse_port(service: str, wanted: HostPort, occupied: Occupied) -> None:
    """A range is refused for each port in it: the engine takes the first that is free at that moment, and at
    a boot none is held yet.
    """
    for held in occupied.ports:
        if held.at.meets(wanted):
            port = f"{held.port}/{held.protocol}"
            of_range = f" with the range {wanted}" if wanted.count > 1 else ""
            raise PortTaken(
                f"service {service} publishes {port}{of_range}, which {held.holder} holds",
                hint=f"publish another port, or end the holder; `ss -lnp sport = :{held.port}` shows it",
            )


def _refuse_twice(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Two services of one file: whichever starts last fails, as with `docker compose up`."""
    seen: list[tuple[str, HostPort]] = []
    for name, table in tables.items():
        single = [port for port in host_ports_of(table) if port.count == 1]
        for port in single:
            for other, taken in seen:
                if port.meets(taken) and not _apart(port, taken):
                    raise PortTaken(
                        f"services {other} and {name} of the Compose file both publish {_shown(taken, port)}",
                        hint="give one of them another host port or another address",
                    )
        seen += [(name, port) for port in single]


def _apart(one: HostPort, other: HostPort) -> bool:
    """The engine binds `::` to IPv6 alone where the file names it."""
    return {":" in one.address, ":" in other.address} == {True, False} and "" not in (
        one.address,
        other.address,
    )


def _shown(one: HostPort, other: HostPort) -> str:
    return str(one) if one == other else f"{one} and {other}, which are one port"


def _external(tables: Mapping[str, Any]) -> Iterator[str]:
    for key, table in tables.items():
        if (table or {}).get("external"):
            yield str(table.get("name") or key)
