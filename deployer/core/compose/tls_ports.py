"""Published ports at which the edge ends TLS. In: services of a rendered Compose model. Out: these ports,
with the edge's own port for each. Never sees a certificate.

Where the environment has certificates, a published port takes TLS when it is 443, or its `app_protocol` is
`https`, and the service itself speaks HTTP behind it. A service that speaks TLS itself receives its bytes
unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.services import speaks_http

_HTTPS = "443"


@dataclass(frozen=True)
class TlsPort:
    """TLS port: host port `published` leads to the edge's port `inside`, and from there to the service's
    `target`.
    """

    service: str
    published: int
    target: int
    inside: int


def tls_ports(tables: Mapping[str, Mapping[str, Any]], taken: frozenset[int]) -> tuple[TlsPort, ...]:
    """Returns the TLS ports of the services behind the edge. The edge's own port is the published number, or
    the next one that is not `taken` by a route.
    """
    found: list[TlsPort] = []
    for name, published, target in _takers(tables):
        used = taken | {port.inside for port in found}
        inside = next(port for port in range(published, published + len(used) + 1) if port not in used)
        found.append(TlsPort(name, published, target, inside))
    return tuple(found)


def _takers(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, int, int]]:
    for name, table in sorted(tables.items()):
        for port in table.get("ports") or ():
            published, target = str(port.get("published") or ""), int(port["target"])
            asked = published == _HTTPS or port.get("app_protocol") == "https"
            if (
                asked
                and published.isdigit()
                and port.get("protocol") in (None, "tcp")
                and _is_plain(table, target)
            ):
                yield name, int(published), target


def _is_plain(table: Mapping[str, Any], target: int) -> bool:
    """True if the service speaks HTTP on the port. `app_protocol: https` describes the outside only and is
    ignored.
    """
    inner = [
        {**port, "app_protocol": None if port.get("app_protocol") == "https" else port.get("app_protocol")}
        for port in table.get("ports") or ()
    ]
    return speaks_http({**table, "ports": inner}, target)
