"""HAProxy rules for forwarded headers (client address, scheme, host). In: a route behind another proxy or
not, the networks of the edge. Out: lines of the route's frontend. Never writes them.

Containers on the edge's networks are peers: a proxy among them has written its headers on purpose, and the
edge between it and the application must not change them. Every other connection comes from outside, including
connections from a network's gateway: Docker's userland proxy, a rootless engine and another network's
masquerading give every client that address, so it proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Headers from which applications and their frameworks take client, scheme and host. Gateway
# interfaces (CGI, WSGI, Rack, PHP) read an underscore as a hyphen, so both spellings count.
_FORWARDED_HEADERS = (
    "^(x[-_]forwarded.*|forwarded|x[-_]real[-_]ip|(x[-_](cluster[-_])?)?client[-_]ip"
    "|x[-_](url[-_])?scheme|front[-_]end[-_]https)$"
)
_OUTSIDE = "acl outside var(txn.outside) -m found"
_KNOWN_SCHEME = "{ req.hdr(X-Forwarded-Proto) -m found }"
_SCHEME = "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"


@dataclass(frozen=True, order=True)
class PeerNetwork:
    """An IPv4 network of the edge, and the addresses that its gateway may have."""

    subnet: str
    gateways: tuple[str, ...] = ()


def forwarded_rules(behind_proxy: bool, peers: Sequence[PeerNetwork]) -> list[str]:
    """Returns the rules. `behind_proxy`: clients from outside come through another proxy, whose headers
    stay.
    """
    rules = [_mark_outside(peers), _OUTSIDE]
    rules += [f"{_SCHEME} if outside !{_KNOWN_SCHEME}"] if behind_proxy else _overwrite_headers()
    rules += [f"http-request set-header X-Forwarded-Proto https if {{ ssl_fc }} !{_KNOWN_SCHEME}"]
    return [*rules, "option forwardfor if-none"]


def _mark_outside(peers: Sequence[PeerNetwork]) -> str:
    subnets = " ".join(peer.subnet for peer in peers)
    gateways = " ".join(address for peer in peers for address in peer.gateways)
    if not subnets:
        return "http-request set-var(txn.outside) int(1)"
    exception = f" !{{ src {gateways} }}" if gateways else ""
    return f"http-request set-var(txn.outside) int(1) unless {{ src {subnets} }}{exception}"


def _overwrite_headers() -> list[str]:
    """Returns rules that replace a client's forwarded headers by the edge's own. They also remove the
    client's list in `Connection`, because the next server drops each header in it as meant for one hop, and
    an upgrade to HTTP/2, after which the edge would see no header of later requests.
    """
    return [
        f"http-request del-header {_FORWARDED_HEADERS} -m reg if outside",
        "http-request set-header X-Forwarded-For %[src] if outside",
        f"{_SCHEME} if outside",
        "http-request set-header X-Forwarded-Host %[req.hdr(Host)] if outside { req.hdr(Host) -m found }",
        "http-request del-header Upgrade if outside { req.hdr(Upgrade) -i -m beg h2 }",
        "http-request set-var(txn.upgrade) int(1) if outside { req.hdr(Upgrade) -m found }"
        " { req.hdr(Connection) -i -m str upgrade }",
        "http-request del-header HTTP2-Settings if outside",
        "http-request del-header Connection if outside",
        "http-request set-header Connection upgrade if { var(txn.upgrade) -m found }",
    ]
