"""Load of a Compose file on the engine itself, outside the limits of its containers. In: numbers of the
rendered model or of a request. Out: the grants that would allow them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]

_FASTEST_CHECK, _FASTEST_START = 0.5, 0.1  # seconds between two checks, each a process that the engine starts
# Limits of one project. A published port costs two processes of the engine, a replica one process and its
# interfaces, and a volume stays when the project ends.
_MOST = {"ports": 128, "replicas": 100, "volumes": 100}
_LARGEST = 2**20  # characters that describe one container: the engine keeps them in memory and lists labels


def health_check(interval: float, start_interval: float) -> Iterator[str]:
    """Yields the grant of a health check at too short intervals (seconds); 0 is the engine's default."""
    if 0 < interval < _FASTEST_CHECK or 0 < start_interval < _FASTEST_START:
        yield "healthcheck"


def counts(ports: int = 0, replicas: int = 0, volumes: int = 0) -> Iterator[str]:
    """Yields a grant for each number beyond the limit of one project."""
    given = {"ports": ports, "replicas": replicas, "volumes": volumes}
    yield from (f"count:{kind}" for kind, number in given.items() if number > _MOST[kind])


def size(description: Table) -> Iterator[str]:
    """Yields a grant for a description of one container (labels, variables, hosts, …) that is too long."""
    if len(json.dumps(description, default=str)) > _LARGEST:
        yield "request:size"


def counts_of(tables: Iterable[tuple[Table, int, int]], declared: int) -> Iterator[str]:
    """Yields grants for the load of a whole project. `tables`: each service with its replicas and published
    ports; `declared`: the number of named volumes.
    """
    services = list(tables)
    anonymous = sum(_anonymous_volumes(table) * replicas for table, replicas, _ in services)
    yield from counts(
        ports=sum(ports for _, _, ports in services),
        replicas=sum(replicas for _, replicas, _ in services),
        volumes=declared + anonymous,
    )


def _anonymous_volumes(table: Table) -> int:
    return sum(one.get("type") == "volume" and not one.get("source") for one in table.get("volumes") or ())
