"""Published ports as users reach them. In: a rendered Compose model. Out: `Door`, an endpoint: its address,
the path for the availability probe, and its budget for failures during a deploy. Never sends a request.
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
    """Limits on the harm that a deploy may do to a service's users: lost requests, and milliseconds without
    an answer. None means no limit.
    """

    max_failed: int | None = None
    max_gap_ms: float | None = None

    @property
    def given(self) -> bool:
        return self.max_failed is not None or self.max_gap_ms is not None


@dataclass(frozen=True)
class Endpoint:
    """Endpoint: one published TCP port of one service; `path` is requested from an HTTP service. `authority`:
    the host and port that the service's own health check asks for, if it does.
    """

    service: str
    host: str
    port: int
    http: bool
    path: str
    budget: Budget
    tls: bool = False
    authority: str = ""


def endpoints_of(
    tables: Mapping[str, Mapping[str, Any]], tls: Collection[TlsPort] = ()
) -> tuple[Endpoint, ...]:
    """Returns one endpoint for each published TCP port, sorted by service; `tls` are the ports at which the
    edge ends TLS. Raises ComposeRejected for an invalid budget.
    """
    return tuple(
        endpoint
        for name in sorted(tables)
        for endpoint in _endpoints(name, tables[name], [port for port in tls if port.service == name])
    )


def budget_of(service: Mapping[str, Any]) -> Budget:
    """Reads a service's budget, as in `x-deployer: {max-failed: 0, max-gap: 500ms}`. Raises
    ComposeRejected.
    """
    settings = settings_of(service)
    failed, gap = settings.get("max-failed"), settings.get("max-gap")
    if failed is not None and (isinstance(failed, bool) or not isinstance(failed, int) or failed < 0):
        raise ComposeRejected(f"x-deployer.max-failed is {failed!r}", hint="it is a number of requests")
    return Budget(failed, None if gap is None else seconds(gap, 0) * 1000)


def _endpoints(name: str, service: Mapping[str, Any], tls: Sequence[TlsPort]) -> Iterator[Endpoint]:
    budget, probe = budget_of(service), probe_of(service)
    for port in service.get("ports") or ():
        published, target = str(port.get("published") or ""), int(port["target"])
        if not published.isdigit() or not int(published) or port.get("protocol") not in (None, "tcp"):
            continue  # a range or another protocol: the port that answers, if any, is unknown
        host = str(port.get("host_ip") or "")
        asked = probe if probe and probe.port == target else None
        http = speaks_http(service, target) or any(one.target == target for one in tls)
        secure = any(one.published == int(published) for one in tls)
        yield Endpoint(
            service=name,
            host="127.0.0.1" if host in _ANYWHERE else host,
            port=int(published),
            http=http,
            path=asked.path if asked else "/",
            budget=budget,
            tls=secure,
            authority=asked.authority if asked else "",
        )
