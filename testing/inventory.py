"""Leftovers of a stage's deploys on the machine. In: an idle stage. Out: an inventory that can be compared.

The inventory does not depend on the running release, so that it stays the same from one deploy to the next.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployer.core.docker.haproxy_config import slots_in
from testing.docker.docker_cli import docker, service_of
from testing.stage import Stage


@dataclass(frozen=True)
class Inventory:
    """Containers, networks, files and processes of a stage; `astray` are slots of the edge without a replica
    and replicas without a slot.
    """

    containers: dict[str, int]  # service and state → how many
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    files: tuple[str, ...]  # in the state folder and among the receiver's temporary files
    astray: tuple[str, ...]
    processes: tuple[str, ...]  # children of a receiver that still run


def take_inventory(stage: Stage) -> Inventory:
    containers = stage.containers()
    states = Counter(f"{service_of(one)} {one['State']['Status']}" for one in containers)
    label = f"label=com.docker.compose.project={stage.project}"
    return Inventory(
        containers=dict(sorted(states.items())),
        networks=tuple(sorted(docker("network", "ls", "-q", "--filter", label).split())),
        volumes=tuple(sorted(docker("volume", "ls", "-q", "--filter", label).split())),
        files=tuple(sorted((*_files(stage.state), *_files(stage.temporary)))),
        astray=tuple(sorted(_astray(stage))),
        processes=tuple(sorted(_processes(stage))),
    )


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if not path.is_dir():
            yield f"{folder.name}/{path.relative_to(folder)}"


def _astray(stage: Stage) -> Iterator[str]:
    """Yields differences between each route's used slots and its service's replicas."""
    addresses: dict[str, set[str]] = {}
    for container in stage.containers():
        service = service_of(container)
        for network in container["NetworkSettings"]["Networks"].values():
            addresses.setdefault(service, set()).add(network["IPAddress"])
    (config,) = (stage.state / "edge" / stage.project).rglob("haproxy.cfg")
    slots = slots_in(config.read_text(encoding="utf-8"))
    assert slots, "the edge has routes"
    for route, used in slots.items():
        there = addresses.get(route.rpartition("_")[0], set())
        yield from (f"{route}: {address}" for address in there.symmetric_difference(used.values()))
        if len(used) != len(there):
            yield f"{route}: {len(used)} slots for {len(there)} replicas"


def _processes(stage: Stage) -> Iterator[str]:
    """Yields processes, other than the receiver, that have the receiver's temporary folder in their
    environment.
    """
    mark = f"TMPDIR={stage.temporary}\0".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended
            own = stage.server is not None and int(entry.name) == stage.server.pid
            if not own and mark in (entry / "environ").read_bytes():
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
