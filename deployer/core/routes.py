"""Routes of the edge. In: services of a rendered Compose model as their containers will be. Out: the order of
each service, and the ports of those that stand behind the edge.

The edge has one listener for each port, so a port of two services goes to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from deployer.core.compose_model import (
    STOP_FIRST,
    Order,
    completes,
    is_behind_proxy,
    listens_on,
    order_of,
    replicas_of,
    speaks_http,
)
from deployer.core.errors import ComposeRejected
from deployer.core.front import order_without_edge, without_edge
from deployer.core.tls import TlsPort, tls_ports


@dataclass(frozen=True)
class Route:
    """One port of one service behind the edge; `slots` servers hold its old and new replicas side by side."""

    service: str
    port: int
    http: bool
    slots: int
    tls: tuple[int, ...] = ()  # ports of the edge that end TLS for it
    behind_proxy: bool = False  # who comes from outside comes through another proxy

    @property
    def name(self) -> str:
        return f"{self.service}_{self.port}"


def place_services(
    tables: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Order], dict[str, tuple[Route, ...]]]:
    """Each service's order, and the routes of those that stand behind the edge."""
    orders: dict[str, Order] = {}
    routes: dict[str, tuple[Route, ...]] = {}
    taken: dict[int, str] = {}
    for name, table in sorted(tables.items(), key=lambda item: (not item[1].get("ports"), item[0])):
        orders[name] = _order(name, table)
        if without_edge(table):
            continue
        ports = listens_on(table)
        if orders[name].name == STOP_FIRST or not ports or completes(name, tables):
            continue
        clash = next((port for port in ports if port in taken), None)
        if clash is not None:
            orders[name] = Order(STOP_FIRST, f"{taken[clash]} has port {clash} on the edge")
            continue
        taken.update(dict.fromkeys(ports, name))
        slots = 2 * max(1, replicas_of(table))
        routes[name] = tuple(_route(name, table, port, slots) for port in ports)
    return orders, routes


def end_tls(
    tables: Mapping[str, Mapping[str, Any]], routes: Mapping[str, tuple[Route, ...]]
) -> tuple[tuple[TlsPort, ...], dict[str, tuple[Route, ...]]]:
    """The ports at which TLS ends, and the routes with them: they lead to HTTP."""
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


def _order(name: str, table: Mapping[str, Any]) -> Order:
    with _errors_of(name):
        return (order_without_edge if without_edge(table) else order_of)(table)


def _route(name: str, table: Mapping[str, Any], port: int, slots: int) -> Route:
    with _errors_of(name):
        proxied = is_behind_proxy(table, port)
    return Route(name, port, speaks_http(table, port), slots, behind_proxy=proxied)


@contextmanager
def _errors_of(service: str) -> Iterator[None]:
    """Raises ComposeRejected with the service's name."""
    try:
        yield
    except ComposeRejected as error:
        raise ComposeRejected(f"service {service}: {error}", hint=error.hint) from None
