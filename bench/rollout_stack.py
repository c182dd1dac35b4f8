"""Ten services in one stack against the slowest of them alone, by this deployer and by Compose. In: how many
runs. Out: rows.

The images are on the engine already, and there is no load: the figures show how well the ten start in
parallel.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench.bare import Bare
from bench.contest import Ours, Peer, Shape, build
from bench.rows import Row, say
from testing.docker.docker_cli import free_port
from testing.stage import Stage

_STARTUPS = tuple(500 * number for number in range(1, 11))  # milliseconds until each of the ten listens
_Services = dict[str, Any]


def measure_stack(runs: int) -> list[Row]:
    """Measures in turn; the first deploys, which make networks and edges, do not count."""
    with Stage() as stage, Stage() as other, ExitStack() as ends:
        ten, one, peers, peer = Ours(stage), Ours(other), Peer(stage), Peer(other)
        ends.callback(peers.remove)
        ends.callback(peer.remove)
        ports, theirs = [[free_port() for _ in _STARTUPS] for _ in range(2)]
        bare = ends.enter_context(Bare(build(stage.namespace, "bare"), f"{stage.project}-bare"))
        rounds: list[tuple[float, ...]] = []
        for run in range(runs + 1):
            version = 1 + run % 2
            stack, last = _stack("app", ports), _slowest("app", one.port)
            their_stack = _stack(peers.named(version), theirs)
            their_last = _slowest(peer.named(version), peer.port)
            audit_events = (
                partial(_deploy, ten, version, stack),
                partial(_deploy, one, version, last),
                partial(peers.up, their_stack),
                partial(peer.up, their_last),
                partial(bare.replace, _STARTUPS),
            )
            rounds.append(tuple(_took(act) for act in audit_events))
            told = "stack: ours {} s together, {} s alone; compose {} s, {} s; the engine alone {} s"
            say(told.format(*rounds[-1]))
    together, alone, their_ten, their_one, bare_ten = zip(*rounds[1:], strict=True)
    return [
        _row("stack10_ratio", together, alone, "the slowest alone", "<= 1.3"),
        _row("stack10_peer_ratio", their_ten, their_one, "compose's slowest alone"),
        _row("stack10_against_peer", together, their_ten, "compose's ten"),
        _row("stack10_floor", bare_ten, alone, "the slowest alone, by this deployer"),
    ]


def _stack(image: str, ports: Sequence[int]) -> _Services:
    return {
        f"app{n}": Shape(startup_ms=startup).service(image, port, inside=3001 + n)
        for n, (startup, port) in enumerate(zip(_STARTUPS, ports, strict=True))
    }


def _slowest(image: str, port: int) -> _Services:
    return {"app": Shape(startup_ms=max(_STARTUPS)).service(image, port)}


def _deploy(ours: Ours, version: int, services: _Services) -> None:
    ended = ours.send(dict.fromkeys(services, ours.images[version]), services)
    assert ended["status"] == "success", ended


def _took(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return round(time.monotonic() - begun, 2)


def _row(key: str, mine: Sequence[float], other: Sequence[float], told: str, goal: str = "") -> Row:
    ratios = tuple(round(left / right, 3) for left, right in zip(mine, other, strict=True))
    wall = f"{statistics.median(mine):.2f} s; {told}: {statistics.median(other):.2f} s"
    return Row(key, statistics.median(ratios), "", goal, ratios, wall)
