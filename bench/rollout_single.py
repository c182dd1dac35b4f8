"""One service: time to the new version's first answer, duration of a deploy, losses of the hard cases. In:
how many runs. Out: rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from bench.bare import Bare, Took
from bench.contest import Deploy, Ours, Peer, Shape, build, under_load
from bench.rows import Row, in_a_row, say
from testing.load.http_load import KEPT, NEW, Load
from testing.load.latency_relay import relay
from testing.stage import Stage

_UP = "docker compose pull && docker compose up -d"
_FAR = 50  # milliseconds of a round trip
_SLOW = Shape(variables={"SLOW_MS": "2000", "ON_TERM": "exit"})


def measure_first_reply(runs: int) -> list[Row]:
    """Measures without `--wait`, which would only return later."""
    ours, theirs, bare = _in_turn(Shape(startup_ms=1000), runs, wait=False)
    instant, instantly, _ = _in_turn(Shape(), runs, wait=False)
    return [
        replace_goal(_ratio("first_reply_ratio_1s", ours, theirs, "first", _UP), "<= 0.7"),
        replace_goal(_ratio("first_reply_ratio_0s", instant, instantly, "first", _UP), "<= 0.5"),
        _ratio("first_reply_floor_1s", bare, theirs, "first", _UP),
    ]


def measure_wall(runs: int) -> list[Row]:
    ours, theirs, bare = _in_turn(Shape(startup_ms=1000), runs, wait=True)
    return [
        replace_goal(_ratio("wall_ratio", ours, theirs, "wall", f"{_UP} --wait"), "<= 0.7"),
        _ratio("wall_floor", bare, theirs, "wall", f"{_UP} --wait"),
    ]


def measure_wall_30s(runs: int) -> list[Row]:
    """Measures with the example's health check: every 30 s, and no faster at the start."""
    check = {"interval": "30s", "timeout": "3s", "retries": 3}
    ours, theirs, _ = _in_turn(Shape(startup_ms=1000, check=check), runs, wait=True)
    return [replace_goal(_ratio("wall_ratio_30s", ours, theirs, "wall", f"{_UP} --wait"), "<= 0.06")]


def measure_fixed_port(runs: int) -> list[Row]:
    """Measures a service with a fixed host port: handed over with `start-first`, else the old replica stops
    before the new one starts.
    """
    rows = []
    for key, order in (("fixed_port_gap_ratio", "start-first"), ("stop_first_gap_ratio", "stop-first")):
        shape = Shape(startup_ms=1000, settings={"edge": "off", "order": order})
        ours, theirs, _ = _in_turn(shape, runs, wait=False)
        rows.append(_ratio(key, ours, theirs, "gap", _UP))
    return [replace_goal(row, "<= 0.95") for row in rows]


def measure_far_clients(runs: int) -> list[Row]:
    """Measures 300 requests a second on 60 kept connections, with a round trip of 50 ms."""
    with Stage() as stage:
        ours = Ours(stage)
        _deployed(ours.deploy(2, Shape()))
        with relay(ours.port, _FAR) as port:
            found = [
                ours.measured(
                    1 + run % 2,
                    Shape(),
                    load=Load(f"http://127.0.0.1:{port}/", new=20, kept=300, connections=60),
                )
                for run in range(in_a_row(runs))
            ]
    return [_lost("lost_rtt50", found, f"{_FAR} ms away, 300 a second on 60 kept connections")]


def measure_exit_at_once(runs: int) -> list[Row]:
    with Stage() as stage:
        ours = Ours(stage)
        _deployed(ours.deploy(2, _SLOW))
        found = [
            ours.measured(1 + run % 2, _SLOW, load=Load(ours.url, new=60, kept=60, connections=60))
            for run in range(in_a_row(runs))
        ]
    return [_lost("lost_exit_at_once", found, "every answer takes 2 s, SIGTERM cuts it")]


def measure_replicas(runs: int) -> list[Row]:
    shape = Shape(replicas=3)
    with Stage() as stage:
        ours = Ours(stage)
        _deployed(ours.deploy(2, shape))
        found = [ours.measured(1 + run % 2, shape) for run in range(in_a_row(runs))]
    return [_lost("lost_replicas", found, "three replicas")]


def replace_goal(row: Row, goal: str) -> Row:
    return Row(row.key, row.value, row.unit, goal, row.runs, row.peer)


def _in_turn(shape: Shape, runs: int, *, wait: bool) -> tuple[list[Deploy], list[Deploy], list[Deploy]]:
    """Deploys ours, Compose's, and the engine's alone, in turn."""
    with Stage() as stage:
        ours, peer = Ours(stage), Peer(stage)
        mine: list[Deploy] = []
        theirs: list[Deploy] = []
        alone: list[Deploy] = []
        try:
            _deployed(ours.deploy(2, shape))
            peer.deploy(2, shape, wait=True)
            with Bare(build(stage.namespace, "bare"), f"{stage.project}-bare") as bare:
                bare.replace([shape.startup_ms])
                for run in range(runs):
                    theirs.append(peer.measured(1 + run % 2, shape, wait=wait))
                    mine.append(ours.measured(1 + run % 2, shape))
                    alone.append(_bare(bare, shape, ours.url))
                    _deployed(mine[-1].ended)
                    told = (_told(mine[-1]), _told(theirs[-1]), _told(alone[-1]))
                    say("single {}: ours {}; compose {}; the engine alone {}".format(run + 1, *told))
        finally:
            peer.remove()
    return mine, theirs, alone


def _bare(bare: Bare, shape: Shape, busy: str) -> Deploy:
    """Replaces containers by the engine alone, under the same load as the others: a service at `busy` answers
    it.
    """
    took: list[Took] = []
    seen = under_load(Load(busy), lambda: took.append(bare.replace([shape.startup_ms])), "")
    return replace(seen, wall=took[0].wall, first=took[0].first)


def _ratio(key: str, ours: Sequence[Deploy], theirs: Sequence[Deploy], what: str, peer: str) -> Row:
    pairs = [(_figure(mine, what), _figure(other, what)) for mine, other in zip(ours, theirs, strict=True)]
    ratios = tuple(round(mine / other, 3) for mine, other in pairs)
    mine, other = (statistics.median(pair[n] for pair in pairs) for n in (0, 1))
    return Row(key, statistics.median(ratios), "", "", ratios, f"{mine:.2f} s; {peer}: {other:.2f} s")


def _figure(deploy: Deploy, what: str) -> float:
    if what == "gap":
        return deploy.report.gap_ms / 1000
    value = deploy.first if what == "first" else deploy.wall
    assert value is not None, "the new version never answered"
    return value


def _lost(key: str, deploys: Sequence[Deploy], against: str) -> Row:
    for deploy in deploys:
        _deployed(deploy.ended)
        say(f"{key}: {_told(deploy)}")
    lost = tuple(float(deploy.report.lost(NEW) + deploy.report.lost(KEPT)) for deploy in deploys)
    return Row(key, sum(lost), "requests", "= 0", lost, against)


def _deployed(ended: object) -> None:
    assert isinstance(ended, dict) and ended["status"] == "success", ended


def _told(deploy: Deploy) -> str:
    first = f", first reply {deploy.first:.2f} s" if deploy.first is not None else ""
    return f"{deploy.wall:.2f} s, {deploy.lost} lost, gap {deploy.report.gap_ms:.0f} ms{first}"
