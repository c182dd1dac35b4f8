"""Routes of the edge. In: services of a rendered Compose model, completed by their images. Out: the order of
each service, and the ports of those that stand behind the edge. Never configures it.

The edge has one listener for each port, so a port of two services goes to one of them. A service that peers
reach must not have two addresses under one name: either the edge takes all of the ports that peers use, or
the service is replaced stop-first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from deployer.core.compose.external_proxy import order_without_edge, without_edge
from deployer.core.compose.image_defaults import image_ports
from deployer.core.compose.peers import ports_asked, reach_of
from deployer.core.compose.services import (
    STOP_FIRST,
    UpdateOrder,
    completes,
    has_own_order,
    is_behind_proxy,
    is_checked,
    listens_on,
    order_of,
    replicas_of,
    speaks_http,
)
from deployer.core.compose.tls_ports import TlsPort, tls_ports
from deployer.core.errors import ComposeRejected

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Route:
    """Route: one port of one service behind the edge; `slots` servers hold its old and new replicas side by
    side.
    """

    service: str
    port: int
    http: bool
    slots: int
    tls: tuple[int, ...] = ()  # ports of the edge that end TLS for it
    behind_proxy: bool = False  # requests from outside come through another proxy

    @property
    def name(self) -> str:
        return f"{self.service}_{self.port}"


@dataclass(frozen=True)
class _Ports:
    """Ports of one service. Peers must find all of `needed` behind the edge; `more` are added if no other
    service has them. `declared`: they come from the file, or from its health check's request.
    """

    needed: tuple[int, ...]
    more: tuple[int, ...] = ()
    declared: bool = True
    named: bool = False


class Placing:
    """Placement of one model's services: orders, and routes of the services behind the edge. A service that
    declares its ports in the file comes before one with ports known only from its peers, its check or its
    image.
    """

    def __init__(
        self, tables: Mapping[str, Table], texts: Collection[str] = (), *, derive: bool = True
    ) -> None:
        self._tables = tables
        self._taken: dict[int, str] = {}
        self._refused: set[str] = set()
        self.orders = {name: _order(name, table) for name, table in tables.items()}
        self.routes: dict[str, tuple[Route, ...]] = {}
        self.asked: dict[str, tuple[int, ...]] = {}  # ports of which one must be open before it serves
        self.presumed: set[str] = set()  # services with ports known from the image alone
        mine = [name for name in sorted(tables) if self._may_stand_behind(name)]
        ports = {
            name: _ports_of(name, tables, texts) if derive else _Ports(listens_on(tables[name]))
            for name in mine
        }
        mine.sort(key=lambda name: (not tables[name].get("ports"), not ports[name].declared, name))
        for name in mine:
            self._claim(name, ports[name])
        for name in mine:
            self._add(name, ports[name])

    def _may_stand_behind(self, name: str) -> bool:
        table = self._tables[name]
        fit = self.orders[name].name != STOP_FIRST and not without_edge(table)
        return fit and not completes(name, self._tables)

    def _claim(self, name: str, ports: _Ports) -> None:
        clash = next((port for port in ports.needed if port in self._taken), None)
        if clash is not None:
            cause = f"{self._taken[clash]} has port {clash} on the edge"
        elif ports.named and not (ports.needed or ports.more):
            cause = "peers reach it, and no port of it is known: `expose` would name one"
        else:
            self._place(name, ports, ports.needed)
            return
        self._refused.add(name)
        if ports.declared or not has_own_order(self._tables[name]):
            self.orders[name] = UpdateOrder(STOP_FIRST, cause)

    def _add(self, name: str, ports: _Ports) -> None:
        """Adds ports that only the image shows, after the other services have theirs. A service that no peer
        is seen to reach goes behind the edge with all of them or not at all.
        """
        if name in self._refused:
            return
        free = tuple(port for port in ports.more if port not in self._taken)
        if name in self.routes or free == ports.more:
            self._place(name, ports, free)

    def _place(self, name: str, ports: _Ports, chosen: Sequence[int]) -> None:
        table = self._tables[name]
        slots = 2 * max(1, replicas_of(table))
        added = tuple(_route(name, table, port, slots) for port in chosen)
        if added:
            self._taken.update(dict.fromkeys(chosen, name))
            self.routes[name] = (*self.routes.get(name, ()), *added)
            self.asked.setdefault(name, tuple(chosen[:1] if ports.declared else chosen))
            if not (ports.declared or ports.named or ports.needed):
                self.presumed.add(name)


def _ports_of(name: str, tables: Mapping[str, Table], texts: Collection[str]) -> _Ports:
    table = tables[name]
    reach, image = reach_of(name, tables, texts), frozenset(image_ports(table))
    if firm := listens_on(table):
        return _Ports(firm, tuple(sorted((reach.ports | image) - set(firm))), named=reach.named)
    if seen := reach.ports | ports_asked(table):
        return _Ports(tuple(sorted(seen)), tuple(sorted(image - seen)), declared=False, named=reach.named)
    if reach.named:
        return _Ports(tuple(sorted(image)), declared=False, named=True)
    # A worker that overrides the command of a server's image need not listen on the image's ports.
    counts = is_checked(table) or not (table.get("command") or table.get("entrypoint"))
    return _Ports((), tuple(sorted(image)) if counts else (), declared=False)


def end_tls(
    tables: Mapping[str, Mapping[str, Any]], routes: Mapping[str, tuple[Route, ...]]
) -> tuple[tuple[TlsPort, ...], dict[str, tuple[Route, ...]]]:
    """Returns the ports at which the edge ends TLS, and all routes; those of TLS ports are changed to
    HTTP.
    """
    taken = frozenset(route.port for ours in routes.values() for route in ours)
    found = tls_ports({name: tables[name] for name in routes}, taken)
    inside = {
        (port.service, port.target): tuple(
            other.inside for other in found if (other.service, other.target) == (port.service, port.target)
        )
        for port in found
    }
    return found, {
        name: tuple(
            replace(route, http=True, tls=inside[name, route.port]) if (name, route.port) in inside else route
            for route in ours
        )
        for name, ours in routes.items()
    }


def _order(name: str, table: Mapping[str, Any]) -> UpdateOrder:
    with _errors_of(name):
        return (order_without_edge if without_edge(table) else order_of)(table)


def _route(name: str, table: Mapping[str, Any], port: int, slots: int) -> Route:
    with _errors_of(name):
        proxied = is_behind_proxy(table, port)
    return Route(name, port, speaks_http(table, port), slots, behind_proxy=proxied)


@contextmanager
def _errors_of(service: str) -> Iterator[None]:
    """Adds the service's name to a ComposeRejected."""
    try:
        yield
    except ComposeRejected as error:
        raise ComposeRejected(f"service {service}: {error}", hint=error.hint) from None
