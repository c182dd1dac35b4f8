"""HAProxy's configuration as text. In: routes and the address of each slot. Out: haproxy.cfg. Never writes
it.

Every route has a fixed number of slots. A switch fills a free slot over the runtime socket, so no reload is
needed; the file has the same addresses before, so that an edge that restarts uses the right ones.
`idle-close-on-response` ends a client's idle keep-alive connection with its next answer when a reload is
needed (measured: 0 lost at 50 ms, 15 to 22 without it). `http-reuse never`: a pool of idle connections to a
replica would hold connections that the application is about to close, Node after 5 s, and a request on such a
connection ends without an answer (measured on a busy machine: up to 18 in a deploy, 0 in 5 deploys with it).
The `description` is a fingerprint of everything but the addresses: an edge that reports another one runs an
older configuration and has to be reloaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from deployer.core.compose.routes import Route
from deployer.core.docker.forwarded_headers import PeerNetwork, forwarded_rules
from deployer.core.errors import EdgeUnavailable
from deployer.core.rollout.desired_state import EDGE_MOUNT

Slots = Mapping[str, Mapping[int, str]]  # route name → slot number from 1 → IPv4 address

GRPC = ":grpc"  # ends the name of a route's second backend, with the same servers
CERTIFICATES = "certificates"  # the folder beside the configuration
_ROUTE = re.compile(
    r"^# route (\S+) ([0-9]+) (http|tcp) ([0-9]+)((?: [0-9]+)*)( behind-proxy)?$", re.MULTILINE
)
_PEERS = re.compile(r"^# peer (\S+)((?: \S+)*)$", re.MULTILINE)
_BLOCK = re.compile(r"^backend ([^\s:]+)$|^    server s([0-9]+) ([0-9.]+):[0-9]+(?: check)?$", re.MULTILINE)
_FINGERPRINT = re.compile(r"^    description (\S+)$", re.MULTILINE)
# A server without a proxy takes long headers and many connections, so these limits lie above those of
# common servers. HAProxy derives `maxconn` from the descriptors, two for each connection, and touches about
# 80 bytes for each at its start. A request and its answer may have 64 KB of headers each: a buffer also
# holds HAProxy's description of them, and the headers that the edge adds. Idle connections and WebSockets
# hold no buffer (measured: 7 KB for each, as with 16 KB buffers); clients that send their headers slowly
# hold 576 MB at most.
_DESCRIPTORS, _BUFFER, _BUFFERS = 65_536, 73_728, 8192
_GLOBAL = f"""\
global
    description STAMP
    log stdout format raw local0 notice
    fd-hard-limit {_DESCRIPTORS}
    tune.bufsize {_BUFFER}
    tune.buffers.limit {_BUFFERS}
    tune.http.maxhdr 512
    stats socket {EDGE_MOUNT}/admin.sock mode 600 level admin expose-fd listeners
    hard-stop-after 1h

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
    http-reuse never
    default-server init-addr none inter 1s fall 3 rise 1
"""
_IS_GRPC = "{ fc_http_major 2 } { req.hdr(Content-Type) -i -m reg ^application/grpc($|[+;]) }"
# A shared cache must not store such an answer, so it belongs to one client.
_OWN_ANSWERS = (
    "acl own status 101",
    "acl own res.hdr(Set-Cookie) -m found",
    "acl own res.hdr(Cache-Control) -i -m sub no-store no-cache private",
)


def render_edge(
    routes: Sequence[Route], slots: Slots, certificates: str = "", peers: Sequence[PeerNetwork] = ()
) -> str:
    """Returns the whole file; the same inputs always give the same bytes. `certificates` is a hash of the
    certificates beside it, `peers` are the networks on which containers reach each other.
    """
    empty = _render(routes, {}, peers)
    stamp = hashlib.sha256(f"{empty}{certificates}".encode()).hexdigest()[:16]
    return _render(routes, slots, peers).replace("STAMP", stamp, 1)


def fingerprint_in(text: str) -> str:
    """Returns the fingerprint in a file of `render_edge`, empty without one."""
    found = _FINGERPRINT.search(text)
    return found.group(1) if found else ""


def _render(routes: Sequence[Route], slots: Slots, peers: Sequence[PeerNetwork]) -> str:
    parts = [_GLOBAL, *(" ".join(("# peer", peer.subnet, *peer.gateways)) for peer in sorted(peers))]
    for route in sorted(routes, key=lambda route: route.name):
        parts.append(_frontend(route, peers))
        parts.append(_backend(route, slots.get(route.name, {})))
        if route.http:
            parts.append(_grpc_backend(route, slots.get(route.name, {})))
    return "\n".join(parts)


def routes_in(config: str) -> tuple[Route, ...]:
    """Returns the routes in a file of `render_edge`."""
    return tuple(
        Route(service, int(port), mode == "http", int(slots), tuple(map(int, tls.split())), bool(proxied))
        for service, port, mode, slots, tls, proxied in _ROUTE.findall(config)
    )


def peers_in(config: str) -> tuple[PeerNetwork, ...]:
    """Returns the peers' networks in a file of `render_edge`."""
    return tuple(PeerNetwork(subnet, tuple(rest.split())) for subnet, rest in _PEERS.findall(config))


def slots_in(config: str) -> dict[str, dict[int, str]]:
    """Returns route name → slot → address in a file of `render_edge`."""
    slots: dict[str, dict[int, str]] = {}
    current: dict[int, str] = {}
    for name, number, address in _BLOCK.findall(config):
        if name:
            current = slots.setdefault(name, {})
        else:
            current[int(number)] = address
    return slots


def _frontend(route: Route, peers: Sequence[PeerNetwork]) -> str:
    mode, proxied = "http" if route.http else "tcp", ["behind-proxy"] if route.behind_proxy else []
    words = ("# route", route.service, route.port, mode, route.slots, *route.tls, *proxied)
    rules = forwarded_rules(route.behind_proxy, sorted(peers)) if route.http else []
    lines = [
        " ".join(map(str, words)),
        f"frontend fe_{route.name}",
        f"    mode {mode}",
        *(["    option idle-close-on-response"] if route.http else []),
        f"    bind :{route.port}",
        *(f"    bind :{port} ssl crt {EDGE_MOUNT}/{CERTIFICATES}" for port in route.tls),
        *(f"    {rule}" for rule in rules),
        *([f"    use_backend {route.name}{GRPC} if {_IS_GRPC}"] if route.http else []),
        f"    default_backend {route.name}",
    ]
    return "\n".join(lines) + "\n"


def _backend(route: Route, slots: Mapping[int, str]) -> str:
    lines = [f"backend {route.name}", f"    mode {'http' if route.http else 'tcp'}", "    balance roundrobin"]
    lines += [f"    {line}" for line in (*_affinity(route), *_servers(route, slots))]
    return "\n".join(lines) + "\n"


def _grpc_backend(route: Route, slots: Mapping[int, str]) -> str:
    """Returns the route's servers for gRPC, which take HTTP/2 without TLS and nothing else; any other request
    of HTTP/2 may be for a server of HTTP/1.
    """
    lines = [f"backend {route.name}{GRPC}", "    mode http", "    balance roundrobin"]
    lines += [f"    {line}" for line in _servers(route, slots, " proto h2")]
    return "\n".join(lines) + "\n"


def _servers(route: Route, slots: Mapping[int, str], words: str = "") -> Iterator[str]:
    words += " check" if _has_replicas(route) else ""
    for number in range(1, route.slots + 1):
        address = slots.get(number)
        yield f"server s{number} {address or '0.0.0.0'}:{route.port}{words}{'' if address else ' disabled'}"


def _has_replicas(route: Route) -> bool:
    """True if more than one replica serves at a time. Only then the edge's own checks take a dead replica
    out: requests to a single replica wait for its return.
    """
    return route.slots > 2


def _affinity(route: Route) -> list[str]:
    """Returns lines that keep a client at its replica from the first answer on that is its own. Public
    answers carry no cookie, so that caches in front go on working. A pin to a closed slot is ignored; the
    next answer gives the client another pin.
    """
    if not (route.http and _has_replicas(route)):
        return []
    cookie = f"edge-{route.service}-{route.port}"
    return [
        f"http-request set-var(txn.pin) req.cook({cookie})",
        'http-request set-var(txn.secure) str("; Secure") if { ssl_fc }',
        *_OWN_ANSWERS,
        "acl pinned srv_name,strcmp(txn.pin) eq 0",
        "acl had var(txn.pin) -m found",
        *(
            f'http-response add-header Set-Cookie "{cookie}=%[srv_name]; Path=/; HttpOnly; SameSite=Lax'
            f'%[var(txn.secure)]" if {case} !pinned'
            for case in ("own", "had !own")
        ),
        *(f"use-server s{n} if {{ var(txn.pin) -m str s{n} }}" for n in range(1, route.slots + 1)),
    ]


def assign_slots(
    slots: Mapping[int, str], busy: Sequence[int], addresses: Sequence[str], count: int
) -> dict[int, str]:
    """Returns the slots after a switch: an address keeps its slot, a new address takes the first free one. A
    slot that is `busy` with requests to an earlier address is taken only without an idle one.

    Raises EdgeUnavailable without enough slots, which `count` = 2 x replicas rules out while two releases
    serve.
    """
    kept = {number: address for number, address in slots.items() if address in addresses}
    free = sorted((n for n in range(1, count + 1) if n not in slots), key=lambda n: (n in busy, n))
    new = [address for address in addresses if address not in kept.values()]
    if len(new) > len(free):
        raise EdgeUnavailable(
            f"{len(new)} new replicas, {len(free)} free slots",
            hint="deploy again: a deploy first removes leftover replicas",
        )
    return dict(sorted((kept | dict(zip(free, new, strict=False))).items()))


def merge_routes(before: Sequence[Route], after: Sequence[Route]) -> tuple[Route, ...]:
    """Returns the routes of two releases side by side. A route of both keeps the larger number of slots, and
    a port that moves to another service stays at the old one until the switch.
    """
    known = {route.name: route for route in before}
    merged = dict(known)
    for route in after:
        taken = _ports(other for other in before if other.name != route.name)
        if route.port not in taken:
            old = known.get(route.name, replace(route, slots=0, tls=()))
            tls = {*old.tls, *(port for port in route.tls if port not in taken)}
            merged[route.name] = replace(route, slots=max(route.slots, old.slots), tls=tuple(sorted(tls)))
    return tuple(merged.values())


def take_over_ports(before: Sequence[Route], moved: Sequence[Route]) -> tuple[Route, ...]:
    """Returns the routes after `moved` have taken their ports over from other routes."""
    ports = _ports(moved)
    left = (route for route in before if route.port not in ports)
    return (
        *(replace(route, tls=tuple(port for port in route.tls if port not in ports)) for route in left),
        *moved,
    )


def _ports(routes: Iterable[Route]) -> set[int]:
    return {port for route in routes for port in (route.port, *route.tls)}


def fit_slots(routes: Sequence[Route], slots: Slots) -> dict[str, dict[int, str]]:
    """Returns the addresses of `slots` within the number of slots that `routes` have."""
    fitted: dict[str, dict[int, str]] = {}
    for route in routes:
        here = slots.get(route.name, {})
        inside = {number: address for number, address in here.items() if number <= route.slots}
        fitted[route.name] = assign_slots(inside, (), list(here.values())[: route.slots], route.slots)
    return fitted
