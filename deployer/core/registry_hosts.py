"""Which registries the server asks, and how. In: names and addresses from Compose files and registries. Out:
whether they may be asked.

A Compose file names registries, and a registry names its realm and where its blobs lie: all of it is written
by others. None of it may lead the server to itself or into its own network, but for the hosts that its
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
    """Whether a name or an address in a URL is this machine by its text."""
    address = read_address(host or "")
    return host == "localhost" or (address is not None and _inner(address).is_loopback)


def read_address(text: str) -> _Address | None:
    """None for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_inside(text: str) -> bool:
    """Whether an address is this machine's, its link's or a private network's, also inside one of IPv6."""
    address = read_address(text)
    if address is None:
        return True
    inner = _inner(address)
    return inner.is_multicast or not inner.is_global


def _inner(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def named_hosts(patterns: Iterable[str]) -> frozenset[str]:
    """The registries that patterns of the settings name in full."""
    hosts = (split_host(pattern)[0] for pattern in patterns)
    return frozenset(host for host in hosts if "*" not in host)


def may_ask_realm(realm: str, host: str, *, plain: bool) -> bool:
    """Whether a registry at `host` may send its callers to `realm` for a token: by TLS, or, where the
    registry itself is asked without, to itself.
    """
    parts = split_url(realm)
    if parts is None or not parts.hostname or parts.username is not None:
        return False
    return parts.scheme == "https" or (plain and parts.scheme == "http" and parts.netloc == host)


def split_url(url: str) -> SplitResult | None:
    """None for what is no URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
