"""Who stands in front of a service: the edge, or a proxy of the user's that finds containers by their labels.
In: a service of a rendered Compose model. Out: why the edge does not, and what that means for its order.

A service that Traefik, Caddy or nginx-proxy is told about in the usual way, and that publishes no port, is
theirs without another word: an edge beside them would balance what they balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.compose_model import (
    START_FIRST,
    STOP_FIRST,
    Order,
    order_of,
    publishes,
    replicas_of,
    seconds,
    settings_of,
)
from deployer.core.errors import ComposeRejected

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
    """Two replicas cannot hold one host port, and no edge holds it for them. Raises ComposeRejected."""
    order = order_of(service)
    ports, needed = _fixed(service), 2 * max(1, replicas_of(service))
    if order.name == STOP_FIRST or not ports or all(len(held) >= needed for held in ports):
        return order
    port = min(publishes(service)).partition("/")[0]
    if settings_of(service).get("order") == START_FIRST:
        raise ComposeRejected(
            f"start-first without the edge needs a host port for each old and new replica, and {port} is one",
            hint="leave the port to the proxy in front, give a range, or drop one of the two settings",
        )
    return Order(STOP_FIRST, f"without the edge it holds host port {port} itself")


def notice_seconds(service: Table) -> float:
    """How long old replicas go on beside new ones that are ready, so that the proxy finds these."""
    return seconds(settings_of(service).get("drain-timeout"), NOTICE_SECONDS)


def _fixed(service: Table) -> list[tuple[str, ...]]:
    """Host ports or ranges, each with the ports that it holds; what the engine chooses is not one."""
    return [held for port in service.get("ports") or () if (held := publishes({"ports": [port]}))]


def _proxy_of(service: Table) -> str:
    labels: Mapping[str, Any] = service.get("labels") or {}
    traefik = any(name.startswith("traefik.") for name in labels)
    if traefik and str(labels.get("traefik.enable", "")).lower() != "false":
        return "Traefik"
    if any(name == "caddy" or name.startswith(("caddy.", "caddy_")) for name in labels):
        return "caddy-docker-proxy"
    return "nginx-proxy" if (service.get("environment") or {}).get("VIRTUAL_HOST") else ""
