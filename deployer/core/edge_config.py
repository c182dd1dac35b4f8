"""HAProxy's configuration as text. In: routes and which address stands in which slot. Out: haproxy.cfg. Never
writes it.

Every route has a fixed number of slots. A switch fills a free slot over the runtime socket, so no reload is
needed; the same addresses are written here first, so that an edge that restarts comes back right.
`idle-close-on-response` lets a client's idle keep-alive connection end with its next answer when a reload is
needed (measured: 0 lost at 50 ms, 15 to 22 without it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deployer.core.application import EDGE_MOUNT, Route
from deployer.core.errors import EdgeUnavailable

Slots = Mapping[str, Mapping[int, str]]  # route name → slot number from 1 → IPv4 address

_MARK = re.compile(r"^# route (\S+) ([0-9]+) (http|tcp) ([0-9]+)$", re.MULTILINE)
_BLOCK = re.compile(r"^backend (\S+)$|^    server s([0-9]+) ([0-9.]+):[0-9]+$", re.MULTILINE)
_GLOBAL = f"""\
global
    log stdout format raw local0 notice
    maxconn 4096
    stats socket {EDGE_MOUNT}/admin.sock mode 600 level admin expose-fd listeners
    hard-stop-after 60s

defaults
    log global
    timeout connect 3s
    timeout http-request 30s
    timeout client 1h
    timeout server 1h
    timeout client-fin 5s
    timeout http-keep-alive 60s
    timeout tunnel 1h
    retries 3
    option redispatch
    option idle-close-on-response
    default-server init-addr none
"""


def render_edge(routes: Sequence[Route], slots: Slots) -> str:
    """The whole file; the same inputs always give the same bytes."""
    parts = [_GLOBAL]
    for route in sorted(routes, key=lambda route: route.name):
        parts.append(_frontend(route))
        parts.append(_backend(route, slots.get(route.name, {})))
    return "\n".join(parts)


def routes_in(config: str) -> tuple[Route, ...]:
    """The routes that a file written by `render_edge` holds."""
    return tuple(
        Route(service, int(port), mode == "http", int(slots))
        for service, port, mode, slots in _MARK.findall(config)
    )


def slots_in(config: str) -> dict[str, dict[int, str]]:
    """Route name → slot → address, as a file written by `render_edge` has them."""
    slots: dict[str, dict[int, str]] = {}
    current: dict[int, str] = {}
    for name, number, address in _BLOCK.findall(config):
        if name:
            current = slots.setdefault(name, {})
        else:
            current[int(number)] = address
    return slots


def _frontend(route: Route) -> str:
    mode = "http" if route.http else "tcp"
    lines = [
        f"# route {route.service} {route.port} {mode} {route.slots}",
        f"frontend fe_{route.name}",
        f"    mode {mode}",
        f"    bind :{route.port}",
        f"    default_backend {route.name}",
    ]
    if route.http:
        lines.insert(3, "    option forwardfor")
    return "\n".join(lines) + "\n"


def _backend(route: Route, slots: Mapping[int, str]) -> str:
    lines = [f"backend {route.name}", f"    mode {'http' if route.http else 'tcp'}", "    balance roundrobin"]
    for number in range(1, route.slots + 1):
        address = slots.get(number)
        state = "" if address else " disabled"
        lines.append(f"    server s{number} {address or '0.0.0.0'}:{route.port}{state}")
    return "\n".join(lines) + "\n"


def place(
    slots: Mapping[int, str], busy: Sequence[int], addresses: Sequence[str], count: int
) -> dict[int, str]:
    """Slots after a switch: an address keeps its slot, a new one takes the first slot that no other has; one
    that is `busy` with requests to an address of the past only where there is no idle one.

    Raises EdgeUnavailable when there is no room, which `count` = 2 x replicas rules out while two releases
    meet.
    """
    kept = {number: address for number, address in slots.items() if address in addresses}
    free = sorted((n for n in range(1, count + 1) if n not in slots), key=lambda n: (n in busy, n))
    new = [address for address in addresses if address not in kept.values()]
    if len(new) > len(free):
        raise EdgeUnavailable(
            f"{len(new)} new replicas, {len(free)} free slots", hint="deploy again: it clears up first"
        )
    return dict(sorted((kept | dict(zip(free, new, strict=False))).items()))


def merge(before: Sequence[Route], after: Sequence[Route]) -> tuple[Route, ...]:
    """The routes of two releases side by side; one that both have keeps the larger number of slots, and a
    port that moves to another service stays where it is until the switch.
    """
    slots = {route.name: route.slots for route in before}
    merged = {route.name: route for route in before}
    taken = {route.port for route in before}
    for route in after:
        if route.name in slots or route.port not in taken:
            merged[route.name] = replace(route, slots=max(route.slots, slots.get(route.name, 0)))
    return tuple(merged.values())


def take_over(before: Sequence[Route], moved: Sequence[Route]) -> tuple[Route, ...]:
    """The routes after `moved` took their ports over from others."""
    ports = {route.port for route in moved}
    return (*(route for route in before if route.port not in ports), *moved)


def fit(routes: Sequence[Route], slots: Slots) -> dict[str, dict[int, str]]:
    """The addresses of `slots` within the slots that `routes` have."""
    fitted: dict[str, dict[int, str]] = {}
    for route in routes:
        here = slots.get(route.name, {})
        inside = {number: address for number, address in here.items() if number <= route.slots}
        fitted[route.name] = place(inside, (), list(here.values())[: route.slots], route.slots)
    return fitted
