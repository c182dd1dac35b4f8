"""Routes of this machine, from the kernel's tables. In: the engine's networks. Out: subnets and addresses
that the machine reaches otherwise than by a network of the engine.

Formats: /proc/net/route has addresses as hexadecimal words in the machine's byte order, /proc/net/ipv6_route
as 32 hexadecimal digits and a prefix length; resolv.conf(5) names the resolvers.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_NET, _RESOLVERS = Path("/proc/net"), Path("/etc/resolv.conf")
_OWN = (
    "lo",
    "docker0",
    "br-",
    "veth",
    "docker_gwbridge",
)  # interfaces of the engine and of the machine itself


def host_routes(
    networks: Iterable[Mapping[str, Any]], net: Path = _NET, resolvers: Path = _RESOLVERS
) -> tuple[str, ...]:
    """Returns CIDR texts, each once, without the engine's own networks and the default route."""
    engine = {
        str(pool.get("Subnet")) for one in networks for pool in (one.get("IPAM") or {}).get("Config") or ()
    }
    found = {*_ipv4(net), *_ipv6(net), *_resolvers(resolvers)}
    return tuple(sorted(found - engine))


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
    except OSError:
        return []


def _ipv4(net: Path) -> Iterator[str]:
    for words in _lines(net / "route")[1:]:
        if len(words) > 7 and not words[0].startswith(_OWN) and int(words[7], 16):
            address = socket.inet_ntoa(struct.pack("=I", int(words[1], 16)))
            yield f"{address}/{int(words[7], 16).bit_count()}"


def _ipv6(net: Path) -> Iterator[str]:
    for words in _lines(net / "ipv6_route"):
        if len(words) > 9 and not words[9].startswith(_OWN):
            network = ipaddress.IPv6Network((int(words[0], 16), int(words[1], 16)), strict=False)
            if network.prefixlen and not (network.is_link_local or network.is_multicast):
                yield str(network)


def _resolvers(path: Path) -> Iterator[str]:
    for words in _lines(path):
        if len(words) > 1 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            if not address.is_loopback:
                yield f"{address}/{address.max_prefixlen}"
