"""Published ports at which the edge ends TLS. In: services of a rendered Compose model. Out: which ones, and
the edge's own port for each. Never sees a certificate.

Where the environment has certificates, a published port takes TLS when it is 443, or its `app_protocol` is
`https`, and the service itself speaks HTTP behind it. A service that speaks TLS itself keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.services import speaks_http

_HTTPS = "443"


@dataclass(frozen=True)
class TlsPort:
    """Host port `published` leads to the edge's port `inside`, and from there to the service's `target`."""

    service: str
    published: int
    target: int
    inside: int


def tls_ports(tables: Mapping[str, Mapping[str, Any]], taken: frozenset[int]) -> tuple[TlsPort, ...]:
    """Of the services behind the edge. Its own port is the published one, or the next that is not `taken` by
    a route.
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
    """Whether the service speaks HTTP on the port: `https` says what is spoken outside."""
    inner = [
        {**port, "app_protocol": None if port.get("app_protocol") == "https" else port.get("app_protocol")}
        for port in table.get("ports") or ()
    ]
    return speaks_http({**table, "ports": inner}, target)
