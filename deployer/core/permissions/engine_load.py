"""Work and memory that a Compose file makes for the engine itself, outside the limits of its containers. In:
numbers as the rendered model or a request has them. Out: the grants that would allow them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]

_FASTEST_CHECK, _FASTEST_START = 0.5, 0.1  # seconds between two checks, each a process that the engine starts
# Of one project. A published port is two processes of the engine, a replica is one with its interfaces, a
# volume stays when the project ends.
_MOST = {"ports": 128, "replicas": 100, "volumes": 100}
_LARGEST = 2**20  # characters that describe one container; the engine holds them, and lists labels to all


def health_check(interval: float, start_interval: float) -> Iterator[str]:
    """A check that the engine makes too often; 0 leaves it to the engine."""
    if 0 < interval < _FASTEST_CHECK or 0 < start_interval < _FASTEST_START:
        yield "healthcheck"


def counts(ports: int = 0, replicas: int = 0, volumes: int = 0) -> Iterator[str]:
    """More of a thing than an application needs."""
    given = {"ports": ports, "replicas": replicas, "volumes": volumes}
    yield from (f"count:{kind}" for kind, number in given.items() if number > _MOST[kind])


def size(description: Table) -> Iterator[str]:
    """Labels, variables, hosts and all else that one container is described by, together."""
    if len(json.dumps(description, default=str)) > _LARGEST:
        yield "request:size"


def counts_of(tables: Iterable[tuple[Table, int, int]], declared: int) -> Iterator[str]:
    """Grants for the load of a whole project. `tables`: each service with its replicas and published ports;
    `declared`: volumes with a name.
    """
    services = list(tables)
    nameless = sum(_nameless(table) * replicas for table, replicas, _ in services)
    yield from counts(
        ports=sum(ports for _, _, ports in services),
        replicas=sum(replicas for _, replicas, _ in services),
        volumes=declared + nameless,
    )


def _nameless(table: Table) -> int:
    return sum(one.get("type") == "volume" and not one.get("source") for one in table.get("volumes") or ())
