"""Client address behind proxies. In: the connection's address and the proxies' header. Out: `Caller`.

`X-Forwarded-For` is a list to which every proxy appends its peer, so it is read from its end, and only as far
as a proxy that the settings name wrote it: any client can forge the part before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST_HOPS = 20
_LONGEST = 60  # characters of one address with brackets, scope and port
_SHARED_BITS = 64  # of an IPv6 address: one customer can choose all further bits


@dataclass(frozen=True)
class Caller:
    """Origin of a request, as far as it can be known."""

    address: str  # for people; empty if there is none
    key: str  # unit of counting: an IPv4 address, an IPv6 /64, or `unknown`
    shared: bool  # a proxy's own address, as it named no client


def caller_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> Caller:
    """Returns the client. `peer` is the connection's other end, `forwarded` the whole header, empty if there
    is none.
    """
    address = _read(peer)
    if address is None:
        return Caller("", "unknown", True)
    for hop in reversed(forwarded.split(",")[-_MOST_HOPS:]):
        said = _read(hop)
        if said is None or not _within(address, proxies):
            break
        address = said
    return Caller(str(address), _key(address), _within(address, proxies))


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parses addresses and networks of the settings. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def _read(text: str) -> Address | None:
    """Parses `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`; `::ffff:1.2.3.4` is an address of IPv4."""
    bare = text.strip()[:_LONGEST]
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    return _address(bare.partition("%")[0])


@lru_cache(maxsize=1024)  # a proxy's address comes with every request
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _key(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address) >> _SHARED_BITS << _SHARED_BITS, _SHARED_BITS)))
