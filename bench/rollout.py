"""A deploy under load, ours and Compose's own, in turn in one run on the example: a static nginx in front of
a Node backend.

In: how many runs. Out: rows. `lost_*` are summed over all of our deploys, `gap_ms` is the longest of them
all, `wall_ratio` is the median of pairs: our deploy from request to end over `docker compose pull && docker
compose up -d --wait` on the same images.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import KEPT, NEW, Load, Report
from bench.rows import Row
from tests.stand.stage import Published, Stage, docker, free_port, remove_containers

_SETTLE = 0.5  # seconds of load before and after a deploy
_COMPOSE = "docker compose pull && docker compose up -d --wait"


@dataclass(frozen=True)
class Deploy:
    """One measured deploy: what its users saw and how long it took, seconds."""

    report: Report
    wall: float

    @property
    def lost(self) -> int:
        return self.report.lost(NEW) + self.report.lost(KEPT)


def measure(runs: int) -> Sequence[Row]:
    """Two releases alternate, `runs` times on both sides."""
    with Stage() as stage:
        releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
        peer = _Peer(stage, releases)
        stage.deploy(releases[1])
        peer.deploy(1)
        ours: list[Deploy] = []
        theirs: list[Deploy] = []
        try:
            for run, release in zip(range(runs), itertools.cycle((0, 1)), strict=False):
                theirs.append(peer.measured(release))
                ours.append(_measured(stage, releases[release]))
                _say(run, ours[-1], theirs[-1])
        finally:
            remove_containers(peer.project)
    return _rows(ours, theirs)


def _rows(ours: Sequence[Deploy], theirs: Sequence[Deploy]) -> list[Row]:
    new = tuple(float(deploy.report.lost(NEW)) for deploy in ours)
    kept = tuple(float(deploy.report.lost(KEPT)) for deploy in ours)
    gaps = tuple(round(deploy.report.gap_ms, 1) for deploy in ours)
    ratios = tuple(round(mine.wall / peer.wall, 3) for mine, peer in zip(ours, theirs, strict=True))
    lost = statistics.median(deploy.lost for deploy in theirs)
    gap = statistics.median(deploy.report.gap_ms for deploy in theirs)
    wall = statistics.median(deploy.wall for deploy in theirs)
    return [
        Row("lost_new", sum(new), "requests", "= 0", new, f"{_COMPOSE}: {lost:g} of both kinds"),
        Row("lost_keepalive", sum(kept), "requests", "= 0", kept, ""),
        Row("gap_ms", statistics.median(gaps), "ms", "<= 50", gaps, f"{_COMPOSE}: {gap:.0f} ms"),
        Row("wall_ratio", statistics.median(ratios), "", "<= 0.7", ratios, f"{_COMPOSE}: {wall:.2f} s"),
    ]


def _measured(stage: Stage, release: Published) -> Deploy:
    with Load(f"{stage.web}/api/version") as load:
        time.sleep(_SETTLE)
        begun = time.monotonic()
        ended = stage.deploy(release)
        wall = time.monotonic() - begun
        time.sleep(_SETTLE)
    assert ended["status"] == "success", ended
    return Deploy(load.report, wall)


class _Peer:
    """The same application by Compose alone, as the sketch's first way to deploy."""

    def __init__(self, stage: Stage, releases: Sequence[Published]) -> None:
        self.project = f"{stage.project}-peer"
        self.web = free_port()
        self._folder = stage.source.folder
        self._namespace = stage.namespace
        self._releases = releases
        self._variables = {
            "REGISTRY": stage.namespace,
            "WEB_PORT": str(self.web),
            "API_PORT": str(free_port()),
        }

    def deploy(self, release: int) -> None:
        tag = f"sha-{self._releases[release].revision}"
        model = ["compose", "-p", self.project, "-f", str(self._folder / "compose.yaml")]
        variables = self._variables | {"TAG": tag}
        docker(*model, "pull", "--quiet", cwd=self._folder, extra=variables)
        docker(*model, "up", "-d", "--no-build", "--wait", cwd=self._folder, extra=variables)

    def measured(self, release: int) -> Deploy:
        with Load(f"http://127.0.0.1:{self.web}/api/version") as load:
            time.sleep(_SETTLE)
            begun = time.monotonic()
            self.deploy(release)
            wall = time.monotonic() - begun
            time.sleep(_SETTLE)
        return Deploy(load.report, wall)


def _say(run: int, ours: Deploy, theirs: Deploy) -> None:
    print(
        f"run {run + 1}: ours {ours.wall:.2f} s, {ours.lost} lost, gap {ours.report.gap_ms:.0f} ms;"
        f" compose {theirs.wall:.2f} s, {theirs.lost} lost, gap {theirs.report.gap_ms:.0f} ms",
        file=sys.stderr,
        flush=True,
    )
