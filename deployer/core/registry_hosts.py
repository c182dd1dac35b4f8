"""Policy for registry addresses. In: names and addresses from Compose files and registries. Out: the
permission to contact them.

A Compose file names registries, and a registry names its realm and the location of its blobs: all of it is
untrusted. None of it may lead the server to itself or into its own network, except for the hosts that its
settings name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from deployer.core.images import split_host

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(host: str | None) -> bool:
    """True if a name or an address in a URL is this machine by its text."""
    address = read_address(host or "")
    return host == "localhost" or (address is not None and _inner(address).is_loopback)


def read_address(text: str) -> _Address | None:
    """Returns the address; None for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_inside(text: str) -> bool:
    """True if an address is this machine's, its link's or a private network's, also inside one of IPv6."""
    address = read_address(text)
    if address is None:
        return True
    inner = _inner(address)
    return inner.is_multicast or not inner.is_global


def _inner(address: _Address) -> _Address:
    """Returns the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def named_hosts(patterns: Iterable[str]) -> frozenset[str]:
    """Returns the registries that patterns of the settings name in full."""
    hosts = (split_host(pattern)[0] for pattern in patterns)
    return frozenset(host for host in hosts if "*" not in host)


def may_ask_realm(realm: str, host: str, *, plain: bool) -> bool:
    """True if a registry at `host` may send its clients to `realm` for a token: by TLS, or, if the registry
    itself is used without TLS, to itself.
    """
    parts = split_url(realm)
    if parts is None or not parts.hostname or parts.username is not None:
        return False
    return parts.scheme == "https" or (plain and parts.scheme == "http" and parts.netloc == host)


def split_url(url: str) -> SplitResult | None:
    """Returns the URL's parts; None if it is no URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
