"""What an application wants for itself alone and others have. In: an application, what is taken on its
target. Out: nothing, or the conflict as an error with a code of its own.

Judged before anything is touched: the engine would find out too, but when half of the new replicas exist.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.core.application import Application
from deployer.core.errors import ExternalMissing, NameTaken, PortTaken

_BOTH = {"", "::", "*"}  # all addresses of IPv4 and IPv6; `::` takes both
_ALL_IPV4 = "0.0.0.0"
_PROCESS = "a process of this machine"


@dataclass(frozen=True)
class Held:
    """One host port with whoever holds it."""

    address: str  # of the host; empty for all
    port: int
    protocol: str
    holder: str = _PROCESS


@dataclass(frozen=True)
class Occupied:
    """What others than the project hold on its target, and what is there to be shared."""

    ports: tuple[Held, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # container → the project it belongs to, or empty
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()


def refuse_conflicts(application: Application, occupied: Occupied) -> None:
    """Raises PortTaken, NameTaken or ExternalMissing for the first conflict, in the file's order."""
    document = application.document
    for name, table in (document.get("services") or {}).items():
        _refuse_name(name, str(table.get("container_name") or ""), occupied)
        for wanted in _published(table):
            _refuse_port(name, wanted, occupied)
    for kind, there in (("network", occupied.networks), ("volume", occupied.volumes)):
        for name in _external(document.get(f"{kind}s") or {}):
            if name not in there:
                raise ExternalMissing(
                    f"the {kind} {name}, which the Compose file calls external, does not exist here",
                    hint=f"`docker {kind} create {name}` makes it; Compose makes none that is external",
                )


def _refuse_name(service: str, name: str, occupied: Occupied) -> None:
    if name and name in occupied.names:
        project = occupied.names[name]
        whose = f"a container of project {project}" if project else "a container of somebody else"
        raise NameTaken(
            f"service {service} has the container_name {name}, which {whose} has",
            hint="leave container_name out: Compose names containers by project; or rename one of the two",
        )


def _refuse_port(service: str, wanted: Held, occupied: Occupied) -> None:
    for held in occupied.ports:
        same = (held.port, held.protocol) == (wanted.port, wanted.protocol)
        if same and _meet(held.address, wanted.address):
            raise PortTaken(
                f"service {service} publishes {wanted.port}/{wanted.protocol}, which {held.holder} holds",
                hint=f"publish another port, or end the holder; `ss -lnp sport = :{wanted.port}` shows it",
            )


def _meet(one: str, other: str) -> bool:
    """Whether two host addresses cannot both have a port."""
    if _BOTH & {one, other}:
        return True
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first == second or (_ALL_IPV4 in (one, other) and first.version == second.version)


def _published(table: Mapping[str, Any]) -> Iterator[Held]:
    for port in table.get("ports") or ():
        first, _, last = str(port.get("published") or "").partition("-")
        protocol, address = str(port.get("protocol") or "tcp"), str(port.get("host_ip") or "")
        if first and not last:  # of a range the engine takes a port that is free
            yield Held(address, int(first), protocol)


def _external(tables: Mapping[str, Any]) -> Iterator[str]:
    for key, table in tables.items():
        if (table or {}).get("external"):
            yield str(table.get("name") or key)
