"""Cost of the deployer itself: an unchanged release, the edge. In: how many runs. Out: rows."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

from bench.contest import Ours, Peer, Shape
from bench.rows import Row
from deployer.bootstrap import Server, build
from deployer.core.model import DeployJob, Kind, Trigger
from deployer.core.ports.container_host import ContainerHost
from deployer.deployment.containers.container_target import ContainerTarget
from deployer.deployment.deploy import deploy
from testing.load.latency import latency_ms
from testing.stage import Stage

_NOT_ENGINE = ("exclusive",)  # a lock


def measure_noop(runs: int) -> list[Row]:
    """Measures an unchanged release in this process: the time of its calls to the engine and the edge."""
    with Stage() as stage:
        ours = Ours(stage)
        _deployed(ours.deploy(1, Shape()))
        before = _states(stage)
        stage.kill()
        parts = build(stage.config)
        try:
            times = tuple(_redeploy(parts) for _ in range(max(2, 2 * runs)))[1:]
        finally:
            parts.close()
        touched = float(len(before ^ _states(stage)))
        stage.serve()
    shown = tuple(round(one, 1) for one in times)
    return [
        Row("noop_ms", statistics.median(shown), "ms", "<= 20", shown, "of engine work"),
        Row("noop_touched", touched, "containers", "= 0", (), ""),
    ]


def measure_edge(runs: int) -> list[Row]:
    """Measures the same image behind the edge and on its own port, in turn."""
    with Stage() as stage:
        ours, peer = Ours(stage), Peer(stage)
        try:
            _deployed(ours.deploy(1, Shape()))
            peer.deploy(1, Shape(), wait=True)
            pairs = [(latency_ms(ours.port), latency_ms(peer.port)) for _ in range(runs)]
            memory = _edge_mib(stage)
        finally:
            peer.remove()
    added = tuple(round(mine - other, 3) for mine, other in pairs)
    direct = statistics.median(other for _, other in pairs)
    return [
        Row(
            "edge_latency_ms", statistics.median(added), "ms", "<= 0.5", added, f"without it: {direct:.2f} ms"
        ),
        Row("edge_rss_mib", memory, "MiB", "<= 20", (), "both processes, shared pages by their part"),
    ]


def _redeploy(parts: Server) -> float:
    """Returns the milliseconds of one redeploy's calls to the engine and the edge."""
    target = parts.context.target
    assert isinstance(target, ContainerTarget)
    names = [field.name for field in fields(ContainerHost)]
    roles = {name: _Clocked(getattr(target.context.host, name)) for name in names}
    host = ContainerHost(**cast(dict[str, Any], roles))
    clocked = ContainerTarget(replace(target.context, host=host))
    serving = parts.store.deployments.serving("shop", "production")
    assert serving
    job = DeployJob("shop", "production", Kind.REDEPLOY, Trigger.CLI, "bench", release=serving.release)
    parts.store.queue.enqueue(job, time.time())
    claimed = parts.store.queue.claim(time.time())
    assert claimed
    ended = deploy(*claimed, replace(parts.context, target=clocked))
    assert ended.status == "success", ended.reason
    return sum(role.spent for role in roles.values()) * 1000


class _Clocked:
    """A target that adds up the time of its calls."""

    def __init__(self, role: object) -> None:
        self._role = role
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., Any] = getattr(self._role, name)
        if name in _NOT_ENGINE:
            return call

        def clocked(*arguments: Any, **options: Any) -> Any:
            begun = time.monotonic()
            try:
                return call(*arguments, **options)
            finally:
                self.spent += time.monotonic() - begun

        return clocked


def _states(stage: Stage) -> set[tuple[str, str]]:
    return {(one["Id"], one["State"]["StartedAt"]) for one in stage.containers()}


def _edge_mib(stage: Stage) -> float:
    """Returns the proportional set size of the edge's processes."""
    first = next(one["State"]["Pid"] for one in stage.containers() if "deployer-edge" in one["Name"])
    children = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split()
    sizes = [
        re.search(r"^Pss:\s+([0-9]+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"), re.M)
        for pid in (first, *children)
    ]
    return round(sum(int(size[1]) for size in sizes if size) / 1024, 1)


def _deployed(ended: dict[str, Any]) -> None:
    assert ended["status"] == "success", ended
