"""Detection of a user's own reverse proxy in front of a service, instead of the edge. In: a service of a
rendered Compose model. Out: the reason why the edge is not used, and the resulting order.

A service that is configured for Traefik, Caddy or nginx-proxy in the usual way, and that publishes no port,
is left to that proxy without a further setting: an edge beside it would balance the same traffic twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.compose.services import (
    START_FIRST,
    STOP_FIRST,
    UpdateOrder,
    order_of,
    replicas_of,
    seconds,
    settings_of,
)
from deployer.core.errors import ComposeRejected
from deployer.core.host_ports import HostPort, host_ports_of

Table = Mapping[str, Any]
NOTICE_SECONDS = 5.0  # Traefik lists containers at most every 2 s, caddy-docker-proxy and nginx-proxy sooner
_ON, _OFF = ("on", True), ("off", False)  # YAML 1.1 reads these words as booleans


def without_edge(service: Table) -> str:
    """Returns the reason why the edge does not stand in front of the service; empty where it does. Raises
    ComposeRejected.
    """
    declared = settings_of(service).get("edge")
    if declared in _OFF:
        return "x-deployer says so"
    if declared is not None and declared not in _ON:
        raise ComposeRejected(f"x-deployer.edge is {declared!r}", hint="it is on or off")
    labelled = None if declared is not None or service.get("ports") else _proxy_of(service)
    return f"{labelled} finds it by itself" if labelled else ""


def order_without_edge(service: Table) -> UpdateOrder:
    """Returns the order of a service without the edge. Two replicas cannot hold one host port, and no edge
    holds it for them: the old replica stops first, unless the file asks for start-first, with the new replica
    parked. Raises ComposeRejected.
    """
    order = order_of(service)
    if order.name == STOP_FIRST or not _lacks_ports(service):
        return order
    port = str(min(_ports(service))).partition("/")[0]
    if settings_of(service).get("order") != START_FIRST:
        return UpdateOrder(STOP_FIRST, f"without the edge it holds host port {port} itself")
    if replicas_of(service) > 1 or service.get("network_mode"):
        raise ComposeRejected(
            f"start-first without the edge: host port {port} can go from one replica to one other only",
            hint="leave the port to the proxy in front, give a range of two ports for each replica, or drop"
            " one of the two settings",
        )
    return order


def hands_over_ports(service: Table) -> bool:
    """True if a new replica starts parked, off the service's networks, and receives these and the host ports
    from the old replica when it is ready.
    """
    return (
        bool(without_edge(service))
        and order_without_edge(service).name == START_FIRST
        and _lacks_ports(service)
    )


def notice_seconds(service: Table) -> float:
    """Returns the seconds for which old replicas run on beside ready new ones, so that the proxy finds the
    new ones.
    """
    return seconds(settings_of(service).get("drain-timeout"), NOTICE_SECONDS)


def _lacks_ports(service: Table) -> bool:
    """True if old and new replicas cannot all have their host ports at once."""
    needed = 2 * max(1, replicas_of(service))
    return any(port.count < needed for port in _ports(service))


def _ports(service: Table) -> tuple[HostPort, ...]:
    """Returns the declared host ports, also for a service on the host's own network, where the application
    itself takes them.
    """
    return host_ports_of({"ports": service.get("ports")})


def _proxy_of(service: Table) -> str:
    labels: Mapping[str, Any] = service.get("labels") or {}
    traefik = any(name.startswith("traefik.") for name in labels)
    if traefik and str(labels.get("traefik.enable", "")).lower() != "false":
        return "Traefik"
    if any(name == "caddy" or name.startswith(("caddy.", "caddy_")) for name in labels):
        return "caddy-docker-proxy"
    return "nginx-proxy" if (service.get("environment") or {}).get("VIRTUAL_HOST") else ""
