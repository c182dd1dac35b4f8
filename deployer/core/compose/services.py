"""Readers of a rendered Compose model. In: `docker compose config` as plain values. Out: the facts about a
service that a rollout needs.

Never changes the model (`docker/container_requests.py` changes the requests made from it) and never
interpolates: variables are filled in already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose.health_check import HttpProbe, find_probe
from deployer.core.compose.volumes import nameless_of
from deployer.core.errors import ComposeRejected
from deployer.core.images import split_tag

Table = Mapping[str, Any]

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HTTP_PORTS = frozenset({80, 3000, 3001, 4000, 5000, 8000, 8080, 8081, 8888})
# Two writers on one data directory destroy it, and these images keep one even where the file declares no
# volume.
_DATABASES = frozenset(
    [
        "postgres",
        "postgis",
        "timescaledb",
        "mysql",
        "mariadb",
        "mongo",
        "redis",
        "valkey",
        "rabbitmq",
        "elasticsearch",
        "opensearch",
        "cassandra",
        "clickhouse-server",
        "influxdb",
        "neo4j",
        "couchdb",
        "etcd",
        "zookeeper",
        "kafka",
        "minio",
        "meilisearch",
        "memcached",
        "nats",
    ]
)
_SETTINGS = (
    "order",
    "edge",
    "behind-proxy",
    "gate-timeout",
    "drain-timeout",
    "protocol",
    "max-failed",
    "max-gap",
    "pre-deploy",
    "post-deploy",
    "on-rollback",
    "hook-timeout",
    "rollback",
)
_MOST_REPLICAS = 100
START_FIRST, STOP_FIRST = "start-first", "stop-first"


@dataclass(frozen=True)
class UpdateOrder:
    """Update order of a service's replicas, start-first (the new one starts before the old one stops) or
    stop-first, and its cause.
    """

    name: str
    cause: str


def seconds(text: object, default: float) -> float:
    """Returns a Compose duration (`1m30s`, `250ms`) in seconds; a bare number is seconds. Raises
    ComposeRejected.
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0:
        return float(text)
    if text is not None and not isinstance(text, str):
        raise ComposeRejected(
            f"{text!r} is not a duration", hint="Compose writes durations as 1m30s or 250ms"
        )
    if not text:
        return default
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ComposeRejected(
            f"{text!r} is not a duration", hint="Compose writes durations as 1m30s or 250ms"
        )
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def networks_of(service: Table) -> dict[str, Table]:
    """Returns network → its settings for this service."""
    return {name: settings or {} for name, settings in (service.get("networks") or {}).items()}


def dependencies_of(service: Table) -> dict[str, str]:
    """Returns service → condition of `depends_on`."""
    return {
        name: entry.get("condition", "service_started")
        for name, entry in (service.get("depends_on") or {}).items()
    }


def replicas_of(service: Table) -> int:
    """Returns the number of containers that the file asks for: `deploy.replicas`, else `scale`, else one.
    Raises ComposeRejected.
    """
    declared = (service.get("deploy") or {}).get("replicas")
    count = declared if declared is not None else service.get("scale")
    number = 1 if count is None else int(count)
    if not 0 <= number <= _MOST_REPLICAS:
        raise ComposeRejected(f"{number} replicas", hint=f"a service may have 0 to {_MOST_REPLICAS}")
    return number


def probe_of(service: Table) -> HttpProbe | None:
    """Returns the HTTP request of the health check, if the check consists of nothing else."""
    return find_probe(service["healthcheck"]["test"]) if is_checked(service) else None


def is_checked(service: Table) -> bool:
    """True if the service has a health check, of the file or, in a table completed by the image, of the
    image.
    """
    check = service.get("healthcheck") or {}
    test = check.get("test")
    return bool(test and test[:1] != ["NONE"] and not check.get("disable"))


def gate_seconds_of(service: Table) -> float:
    """Returns the seconds in which a new replica must become ready: the time that its health check allows,
    plus one round of grace. The deployment's own deadline is the only other limit, so a start period of a
    quarter of an hour is granted.
    """
    declared = settings_of(service).get("gate-timeout")
    if declared is not None:
        return seconds(declared, 0)
    check = service.get("healthcheck") or {}
    period = seconds(check.get("interval"), 30) + seconds(check.get("timeout"), 30)
    allowed = seconds(check.get("start_period"), 0) + (int(check.get("retries") or 3) + 1) * period
    return allowed if is_checked(service) else 60.0


def settings_of(service: Table) -> Table:
    """Returns the service's `x-deployer` table. Raises ComposeRejected for an unknown key."""
    table = service.get("x-deployer") or {}
    if not isinstance(table, Mapping):
        raise ComposeRejected("x-deployer should be a mapping of settings")
    for key in table:
        if key not in _SETTINGS:
            raise ComposeRejected(
                f"x-deployer.{key} is not a known setting", hint=f"known: {', '.join(_SETTINGS)}"
            )
    if table.get("protocol") not in (None, "http", "tcp"):
        raise ComposeRejected(f"x-deployer.protocol is {table['protocol']!r}", hint="it is http or tcp")
    return table


def is_behind_proxy(service: Table, port: int) -> bool:
    """True if requests from outside come to the container's port through another proxy with trusted forwarded
    headers: the file declares it, or the port is published on the host's loopback alone. Raises
    ComposeRejected.
    """
    declared = settings_of(service).get("behind-proxy")
    if isinstance(declared, bool):
        return declared
    if declared is not None:
        raise ComposeRejected(f"x-deployer.behind-proxy is {declared!r}", hint="it is true or false")
    published = [one for one in service.get("ports") or () if int(one["target"]) == port]
    return bool(published) and all(_is_loopback(str(one.get("host_ip") or "")) for one in published)


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def has_own_order(service: Table) -> bool:
    """True if the file declares the order."""
    update = (service.get("deploy") or {}).get("update_config") or {}
    return settings_of(service).get("order") is not None or update.get("order") is not None


def order_of(service: Table) -> UpdateOrder:
    """Returns start-first wherever two replicas of the service may run at once, else stop-first. Raises
    ComposeRejected.
    """
    declared = settings_of(service).get("order")
    if declared in (START_FIRST, STOP_FIRST):
        return UpdateOrder(declared, "x-deployer says so")
    if declared is not None:
        raise ComposeRejected(
            f"x-deployer.order is {declared!r}", hint=f"it is {START_FIRST} or {STOP_FIRST}"
        )
    if (wished := ((service.get("deploy") or {}).get("update_config") or {}).get("order")) is not None:
        return UpdateOrder(
            START_FIRST if wished == START_FIRST else STOP_FIRST, "deploy.update_config says so"
        )
    causes = (
        (bool(service.get("container_name")), "container_name is fixed"),
        (_has_fixed_address(service), "its address is fixed"),
        (bool(service.get("network_mode")), f"network_mode is {service.get('network_mode')}"),
        (bool(shares_with(service)), f"it shares with {' '.join(shares_with(service))}"),
        (
            any(port.get("protocol") != "tcp" for port in service.get("ports") or ()),
            "a published port is not TCP",
        ),
        (any(_is_writable(volume) for volume in service.get("volumes") or ()), "a volume has one writer"),
        (bool(nameless_of(service)), f"the nameless volume {' '.join(nameless_of(service))} has one writer"),
        (_image_name(service) in _DATABASES, f"{_image_name(service)} keeps data"),
    )
    for holds, cause in causes:
        if holds:
            return UpdateOrder(STOP_FIRST, cause)
    return UpdateOrder(START_FIRST, "two may run at once")


def shares_with(service: Table) -> tuple[str, ...]:
    """Returns the services that lend this one namespaces or volumes: when one of them is replaced, this one
    must be as well.
    """
    spaces = [str(service.get(name) or "") for name in ("network_mode", "pid", "ipc")]
    named = [space.removeprefix("service:") for space in spaces if space.startswith("service:")]
    borrowed = [str(name).partition(":")[0] for name in service.get("volumes_from") or ()]
    return tuple(sorted({*named, *(name for name in borrowed if name != "container")}))


def _has_fixed_address(service: Table) -> bool:
    fixed = ("ipv4_address", "ipv6_address", "mac_address")
    return bool(service.get("mac_address")) or any(
        settings.get(name) for settings in networks_of(service).values() for name in fixed
    )


def _is_writable(volume: Table) -> bool:
    named = volume.get("type") == "bind" or (volume.get("type") == "volume" and bool(volume.get("source")))
    return named and not volume.get("read_only")


def _image_name(service: Table) -> str:
    repository, _ = split_tag(str(service.get("image") or "").partition("@")[0])
    return repository.rpartition("/")[2]


def listens_on(service: Table) -> tuple[int, ...]:
    """Returns the container ports that peers reach the service on: published, exposed, and the port of its
    health check's request.
    """
    published = [int(port["target"]) for port in service.get("ports") or ()]
    exposed = [
        int(str(port).partition("/")[0]) for port in service.get("expose") or () if _is_single_tcp(str(port))
    ]
    probe = probe_of(service)
    return tuple(sorted({*published, *exposed, *([probe.port] if probe else [])}))


def _is_single_tcp(port: str) -> bool:
    number, _, protocol = port.partition("/")
    return number.isdigit() and protocol in ("", "tcp")


def speaks_http(service: Table, port: int) -> bool:
    """True if the edge may read the service's traffic as HTTP on `port`; otherwise it passes bytes."""
    declared = settings_of(service).get("protocol")
    if declared is not None:
        return str(declared) == "http"
    probe = probe_of(service)
    named = {
        int(p["target"]): p.get("app_protocol") for p in service.get("ports") or () if p.get("app_protocol")
    }
    if port in named:
        return str(named[port]) == "http"
    return port in _HTTP_PORTS or (probe is not None and probe.port == port)


def completes(name: str, services: Mapping[str, Table]) -> bool:
    """True if other services wait for this one to end with success: a one-shot task, not a server."""
    return "service_completed_successfully" in {
        dependencies_of(service).get(name) for service in services.values()
    }


def levels_of(services: Mapping[str, Table]) -> dict[str, int]:
    """Returns service → start level, from 0: a level begins when the one before is ready. A service that only
    waits for `service_started` shares the level of its dependency.
    """
    return _depths(services, _demands)


def ranks_of(services: Mapping[str, Table]) -> dict[str, int]:
    """Returns service → position in the order of starts."""
    return _depths(services, lambda service, other, found: True)


def _demands(service: Table, other: str, found: Table) -> bool:
    """True if the service can only begin when the other is ready."""
    waits = dependencies_of(service)[other] != "service_started"
    return waits or other in shares_with(service) or order_of(found).name == STOP_FIRST


def _depths(services: Mapping[str, Table], counts: Callable[[Table, str, Table], bool]) -> dict[str, int]:
    levels: dict[str, int] = {}

    def level(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            raise ComposeRejected(f"services depend on each other in a circle: {' → '.join((*path, name))}")
        if name not in levels:
            service = services[name]
            levels[name] = max(
                (
                    level(other, (*path, name)) + counts(service, other, services[other])
                    for other in _known(services, name)
                ),
                default=0,
            )
        return levels[name]

    for name in services:
        level(name, ())
    return levels


def _known(services: Mapping[str, Table], name: str) -> Iterable[str]:
    return (other for other in dependencies_of(services[name]) if other in services)
