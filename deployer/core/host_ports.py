"""Host ports: address, numbers and protocol of published ports, and conflicts between them. In: the `ports`
of a rendered Compose service, port bindings of the engine. Out: `HostPort`.

Never asks an engine which ports are free.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import ComposeRejected

_EVERY = frozenset({"", "::", "*"})  # all addresses of IPv4 and IPv6
_EVERY_IPV4 = "0.0.0.0"
_LAST, _MOST = 65_535, 1_000
_ADDRESS = "write a plain address, as in 127.0.0.1:8080:80 or [::1]:8080:80"


@dataclass(frozen=True, order=True)
class HostPort:
    """Published port: `address` is the host's, empty for all of them. `last` above `first` is a range, of
    which a container takes one free port.
    """

    address: str
    first: int
    last: int
    protocol: str = "tcp"

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def meets(self, other: HostPort) -> bool:
        """True if the two have an address, a port and the protocol in common."""
        common = self.first <= other.last and other.first <= self.last
        return common and self.protocol == other.protocol and addresses_meet(self.address, other.address)

    def __str__(self) -> str:
        """Returns `8080/tcp`, `127.0.0.1:8080/tcp`, `[::1]:9000-9010/udp`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        numbers = f"{self.first}-{self.last}" if self.count > 1 else str(self.first)
        return f"{host}:{numbers}/{self.protocol}".removeprefix(":")


def addresses_meet(one: str, other: str) -> bool:
    """True if two host addresses cannot both have a port: `0.0.0.0` takes every address of IPv4, `::` and an
    empty one take all.
    """
    if _EVERY & {one, other}:
        return True
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first == second or (_EVERY_IPV4 in (one, other) and first.version == second.version)


def is_every_address(address: str) -> bool:
    """True if it stands for all addresses, at least of IPv4."""
    return address in _EVERY or address == _EVERY_IPV4


def check_ports(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ComposeRejected for published ports that the engine and this module could read differently: an
    invalid IP address or port number.
    """
    published = 0
    for name, table in tables.items():
        for port in table.get("ports") or ():
            published += 1
            first, last = _numbers(port.get("published")) or (1, 1)
            address = str(port.get("host_ip") or "")
            if not is_plain_address(address):
                raise ComposeRejected(f"service {name}: {address!r} is no address of a host", hint=_ADDRESS)
            if not 0 < int(port.get("target") or 0) <= _LAST or not first <= last <= _LAST:
                raise ComposeRejected(
                    f"service {name}: {port.get('published')}:{port.get('target')} is no port"
                )
            published += last - first
    if published > _MOST:
        raise ComposeRejected(f"{published} ports are published, and at most {_MOST} may be")


def is_plain_address(text: str) -> bool:
    """True if every reader takes the text for the same address: no brackets, names, zones, or IPv4 within
    IPv6.
    """
    if text in _EVERY:
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    embedded = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped is not None or address.scope_id is not None
    )
    return (
        not embedded and str(address) == text.lower() and (address.version == 4 or not address.is_unspecified)
    )


def host_ports_of(service: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """Returns the host ports that a rendered service requests by number. A port that the engine chooses is
    left out, and a service on the host's own network publishes nothing.
    """
    if service.get("network_mode") == "host":
        return ()
    found = {
        HostPort(_bare(port.get("host_ip")), *numbers, str(port.get("protocol") or "tcp"))
        for port in service.get("ports") or ()
        if (numbers := _numbers(port.get("published")))
    }
    return tuple(sorted(found))


def bound_ports(bindings: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """Returns the engine's bindings, `{"3001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}`, as host
    ports.
    """
    found = {
        HostPort(_bare(binding.get("HostIp")), *numbers, port.partition("/")[2] or "tcp")
        for port, held in bindings.items()
        for binding in held or ()
        if (numbers := _numbers(binding.get("HostPort")))
    }
    return tuple(sorted(found))


def is_free(wanted: HostPort, held: Collection[HostPort], count: int = 1) -> bool:
    """True if `count` ports of a range, or the single port, conflict with none of the held ones."""
    meeting = [port for port in held if port.meets(wanted)]
    numbers = (HostPort(wanted.address, n, n, wanted.protocol) for n in _span(wanted))
    room = sum(not any(port.meets(number) for port in meeting) for number in numbers)
    return not meeting or room >= min(count, wanted.count)


def _span(port: HostPort) -> Iterator[int]:
    return iter(range(port.first, port.last + 1))


def _numbers(published: object) -> tuple[int, int] | None:
    """Returns first and last; None if the engine chooses."""
    first, _, last = str(published or "").partition("-")
    return (int(first), int(last or first)) if first.isdigit() and int(first) else None


def _bare(address: object) -> str:
    return str(address or "").strip("[]")
