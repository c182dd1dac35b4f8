"""Who stands in front of a service: the edge, or a proxy of the user's that finds containers by their labels.
In: a service of a rendered Compose model. Out: why the edge does not, and what that means for its order.

A service that Traefik, Caddy or nginx-proxy is told about in the usual way, and that publishes no port, is
theirs without another word: an edge beside them would balance what they balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.compose.services import (
    START_FIRST,
    STOP_FIRST,
    Order,
    order_of,
    replicas_of,
    seconds,
    settings_of,
)
from deployer.core.errors import ComposeRejected
from deployer.core.host_ports import HostPort, host_ports_of

Table = Mapping[str, Any]
NOTICE_SECONDS = 5.0  # Traefik reads what runs at most every 2 s, caddy-docker-proxy and nginx-proxy sooner
_ON, _OFF = ("on", True), ("off", False)  # YAML 1.1 reads the words as truth


def without_edge(service: Table) -> str:
    """Why the edge does not stand in front; empty where it does. Raises ComposeRejected."""
    declared = settings_of(service).get("edge")
    if declared in _OFF:
        return "x-deployer says so"
    if declared is not None and declared not in _ON:
        raise ComposeRejected(f"x-deployer.edge is {declared!r}", hint="it is on or off")
    labelled = None if declared is not None or service.get("ports") else _proxy_of(service)
    return f"{labelled} finds it by itself" if labelled else ""


def order_without_edge(service: Table) -> Order:
    """Two replicas cannot hold one host port, and no edge holds it for them: the old one stops first, unless
    the file says that the new one may start aside. Raises ComposeRejected.
    """
    order = order_of(service)
    if order.name == STOP_FIRST or not _lacks_ports(service):
        return order
    port = str(min(_ports(service))).partition("/")[0]
    if settings_of(service).get("order") != START_FIRST:
        return Order(STOP_FIRST, f"without the edge it holds host port {port} itself")
    if replicas_of(service) > 1 or service.get("network_mode"):
        raise ComposeRejected(
            f"start-first without the edge: host port {port} can go from one replica to one other only",
            hint="leave the port to the proxy in front, give a range of two ports for each replica, or drop"
            " one of the two settings",
        )
    return order


def takes_over(service: Table) -> bool:
    """Whether a new replica starts aside, off the service's networks, and gets these and the host ports from
    the old one when it is ready.
    """
    return (
        bool(without_edge(service))
        and order_without_edge(service).name == START_FIRST
        and _lacks_ports(service)
    )


def notice_seconds(service: Table) -> float:
    """How long old replicas go on beside new ones that are ready, so that the proxy finds these."""
    return seconds(settings_of(service).get("drain-timeout"), NOTICE_SECONDS)


def _lacks_ports(service: Table) -> bool:
    """Whether old and new replicas cannot all have their host ports at once."""
    needed = 2 * max(1, replicas_of(service))
    return any(port.count < needed for port in _ports(service))


def _ports(service: Table) -> tuple[HostPort, ...]:
    """On the host's own network too: there the application itself takes them."""
    return host_ports_of({"ports": service.get("ports")})


def _proxy_of(service: Table) -> str:
    labels: Mapping[str, Any] = service.get("labels") or {}
    traefik = any(name.startswith("traefik.") for name in labels)
    if traefik and str(labels.get("traefik.enable", "")).lower() != "false":
        return "Traefik"
    if any(name == "caddy" or name.startswith(("caddy.", "caddy_")) for name in labels):
        return "caddy-docker-proxy"
    return "nginx-proxy" if (service.get("environment") or {}).get("VIRTUAL_HOST") else ""
