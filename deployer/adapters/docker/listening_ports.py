"""Ports on which processes of this machine listen, from the kernel's tables. In: the kernel's files. Out:
addresses and ports. Format: proc_net_tcp(5): hexadecimal `ADDRESS:PORT`, each 32-bit word in the machine's
byte order.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from deployer.core.host_ports import HostPort
from deployer.core.rollout.conflicts import Held

_TABLES = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))  # LISTEN; unconnected


def listening(net: Path = Path("/proc/net")) -> Iterator[Held]:
    """Yields the listening ports of this process's network namespace."""
    for table, state in _TABLES:
        try:
            lines = (net / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            if f" {state} " not in line:  # a busy machine has thousands of sockets, of which few listen
                continue
            _, local, _, found, *_ = line.split()
            if found == state:
                address, _, port = local.partition(":")
                yield Held(_address(address), int(port, 16), table[:3])


def addresses_of(listen: str) -> Iterator[Held]:
    """Yields the deployer's own listeners from its setting (`ADDRESS:PORT`), also before it listens."""
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        return
    for address in sorted({str(place[0]) for *_, place in found}):
        yield Held(address, int(port), "tcp", "the deployer itself (server.listen)")


def taken_here(gateways: Iterator[str], listen: str) -> tuple[Held, ...]:
    """Host ports that processes hold; none if their network namespace is not the engine's."""
    return (*addresses_of(listen), *listening()) if shares_network(gateways) else ()


def reserved_ports(gateways: Iterator[str], listen: str) -> tuple[HostPort, ...]:
    """Returns the deployer's own ports; none if their network namespace is not the engine's."""
    return tuple(held.at for held in addresses_of(listen)) if listen and shares_network(gateways) else ()


def shares_network(gateways: Iterator[str]) -> bool:
    """True if this process has one of the engine's own bridges, so that its ports are the engine's."""
    for gateway in gateways:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((gateway, 0))
            except OSError:
                continue
            return True
    return False


def _address(digits: str) -> str:
    words = [bytes.fromhex(digits[i : i + 8]) for i in range(0, len(digits), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))
