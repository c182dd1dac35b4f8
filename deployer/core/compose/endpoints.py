"""Published ports as users reach them. In: a rendered Compose model. Out: `Door`: where to knock, what to ask
for, and how much of it may go wrong during a deploy. Never knocks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.services import probe_of, seconds, settings_of, speaks_http
from deployer.core.compose.tls_ports import TlsPort
from deployer.core.errors import ComposeRejected

_ANYWHERE = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Budget:
    """What a deploy may cost the users of a service: lost requests, and milliseconds without an answer. None:
    as much as it takes.
    """

    max_failed: int | None = None
    max_gap_ms: float | None = None

    @property
    def given(self) -> bool:
        return self.max_failed is not None or self.max_gap_ms is not None


@dataclass(frozen=True)
class Door:
    """One published TCP port of one service; `path` is what an HTTP service is asked for."""

    service: str
    host: str
    port: int
    http: bool
    path: str
    budget: Budget
    tls: bool = False


def doors_of(tables: Mapping[str, Mapping[str, Any]], tls: Collection[TlsPort] = ()) -> tuple[Door, ...]:
    """One for each published port of each service, by service; `tls` are those at which the edge ends TLS.
    Raises ComposeRejected for a wrong budget.
    """
    return tuple(
        door
        for name in sorted(tables)
        for door in _doors(name, tables[name], [port for port in tls if port.service == name])
    )


def budget_of(service: Mapping[str, Any]) -> Budget:
    """`x-deployer: {max-failed: 0, max-gap: 500ms}`."""
    settings = settings_of(service)
    failed, gap = settings.get("max-failed"), settings.get("max-gap")
    if failed is not None and (isinstance(failed, bool) or not isinstance(failed, int) or failed < 0):
        raise ComposeRejected(f"x-deployer.max-failed is {failed!r}", hint="it is a number of requests")
    return Budget(failed, None if gap is None else seconds(gap, 0) * 1000)


def _doors(name: str, service: Mapping[str, Any], tls: Sequence[TlsPort]) -> Iterator[Door]:
    budget, probe = budget_of(service), probe_of(service)
    for port in service.get("ports") or ():
        published, target = str(port.get("published") or ""), int(port["target"])
        if not published.isdigit() or not int(published) or port.get("protocol") not in (None, "tcp"):
            continue  # a range or another protocol: nobody can say which port answers, or whether
        host = str(port.get("host_ip") or "")
        path = probe.path if probe and probe.port == target else "/"
        http = speaks_http(service, target) or any(one.target == target for one in tls)
        secure = any(one.published == int(published) for one in tls)
        yield Door(
            name, "127.0.0.1" if host in _ANYWHERE else host, int(published), http, path, budget, secure
        )
