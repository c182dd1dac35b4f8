"""The example application under load: an nginx with a static upstream in front of a Node backend. In: how
many runs. Out: rows, and the two deploys of the plot.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from bench.contest import Deploy, under_load
from bench.plot import save_plot
from bench.rows import Row, in_a_row, say
from testing.load.http_load import KEPT, NEW, Load
from testing.stage import Stage, docker, free_port, remove_containers
from testing.user_repository import Published

_COMPOSE = "docker compose pull && docker compose up -d --wait"


def measure(runs: int) -> list[Row]:
    """Measures `runs` deploys of both contestants in turn, and continues ours up to twenty if `runs` is
    five.
    """
    with Stage() as stage:
        releases = [stage.publish("1.0.0"), stage.publish("2.0.0")]
        peer = _Peer(stage, releases)
        stage.deploy(releases[1])
        peer.deploy(1)
        idle = _idle(stage)
        try:
            ours, theirs = _in_turn(stage, peer, releases, runs)
        finally:
            remove_containers(peer.project)
        more = in_a_row(runs) - len(ours)
        ours += [_ours(stage, releases[n % 2]) for n in range(len(ours), len(ours) + more)]
        backend = [_ours(stage, _only_backend(releases, n)) for n in range(in_a_row(runs))]
        plot = save_plot(ours[1 if runs > 1 else 0], theirs[1 if runs > 1 else 0])
    say(f"the plot is {plot}")
    return _rows(ours, theirs, backend, idle)


def _in_turn(
    stage: Stage, peer: _Peer, releases: Sequence[Published], runs: int
) -> tuple[list[Deploy], list[Deploy]]:
    ours: list[Deploy] = []
    theirs: list[Deploy] = []
    for run, release in zip(range(runs), itertools.cycle((0, 1)), strict=False):
        theirs.append(peer.measured(release))
        ours.append(_ours(stage, releases[release]))
        say(f"shop {run + 1}: ours {_told(ours[-1])}; compose {_told(theirs[-1])}")
    return ours, theirs


def _rows(
    ours: Sequence[Deploy], theirs: Sequence[Deploy], backend: Sequence[Deploy], idle: float
) -> list[Row]:
    new = tuple(float(deploy.report.lost(NEW)) for deploy in ours)
    kept = tuple(float(deploy.report.lost(KEPT)) for deploy in ours)
    static = tuple(float(deploy.lost) for deploy in backend)
    gaps = tuple(round(deploy.report.gap_ms, 1) for deploy in ours)
    ratios = tuple(round(mine.wall / other.wall, 3) for mine, other in zip(ours, theirs, strict=False))
    lost = statistics.median(deploy.lost for deploy in theirs)
    gap = statistics.median(deploy.report.gap_ms for deploy in theirs)
    wall = statistics.median(deploy.wall for deploy in theirs)
    against = f"of {sum(len(deploy.report.samples) for deploy in ours)} in {len(ours)} deploys"
    middle = statistics.median(gaps)
    return [
        Row("lost_new", sum(new), "requests", "= 0", new, f"{_COMPOSE}: {lost:g} of both kinds in one"),
        Row("lost_keepalive", sum(kept), "requests", "= 0", kept, against),
        Row("lost_static_nginx", sum(static), "requests", "= 0", static, "backend alone replaced"),
        Row("gap_ms", middle, "ms", "<= 50", gaps, f"{_COMPOSE}: {gap:.0f} ms"),
        Row("gap_idle_ratio", round(middle / idle, 2), "", "<= 3", (), f"without a deploy: {idle:.1f} ms"),
        Row("wall_ratio_shop", statistics.median(ratios), "", "<= 0.7", ratios, f"{_COMPOSE}: {wall:.2f} s"),
    ]


def _told(deploy: Deploy) -> str:
    return f"{deploy.wall:.2f} s, {deploy.lost} lost, gap {deploy.report.gap_ms:.0f} ms"


def _idle(stage: Stage) -> float:
    """Returns the longest gap without a deploy, for about a deploy's duration; median of three."""
    gaps = []
    for _ in range(3):
        with Load(f"{stage.web}/api/version") as load:
            time.sleep(3.0)
        gaps.append(load.report.gap_ms)
    return statistics.median(gaps)


def _ours(stage: Stage, release: Published) -> Deploy:
    deploy = under_load(
        Load(f"{stage.web}/api/version"), lambda: stage.deploy(release), _version(stage, release)
    )
    assert deploy.ended["status"] == "success", deploy.ended
    return deploy


def _version(stage: Stage, release: Published) -> str:
    return stage.source.git("show", f"{release.revision}:backend/version.txt").strip()


def _only_backend(releases: Sequence[Published], number: int) -> Published:
    """Builds with an unchanged frontend image."""
    other = releases[number % 2]
    return replace(other, images={**other.images, "frontend": releases[0].images["frontend"]})


class _Peer:
    """The same application by Compose alone, as in the example's first workflow."""

    def __init__(self, stage: Stage, releases: Sequence[Published]) -> None:
        self.project = f"{stage.project}-peer"
        self.web = free_port()
        self._stage = stage
        self._folder = stage.source.folder
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
        version = _version(self._stage, self._releases[release])
        return under_load(
            Load(f"http://127.0.0.1:{self.web}/api/version"), lambda: self.deploy(release), version
        )
