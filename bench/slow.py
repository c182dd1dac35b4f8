"""An honest client among slow ones: the success and the latency of its deliveries.

In: how many runs. Out: rows. 500 connections send their headers and 500 their bodies, a byte every second; a
client that is cut off reconnects at once. Every 0.7 s, on its own connection, an honest client delivers. Then
the same with 200 viewers of a deployment's story beside them, of which 50 never read.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from bench.rows import Row
from testing.docker.docker_cli import wait_for
from testing.load.slow_clients import Crowd, Kinds
from testing.load.webhook_load import Load, Sent, send
from testing.receiver.receiver_process import SECRET, Server

_SECONDS = 60.0
_PAUSE = 0.7
_SLOW = 500  # of each kind
_VIEWERS, _DEAF = 150, 50


def measure(runs: int) -> Sequence[Row]:
    """Measures each of the two `runs` times, a minute each."""
    with Server(1) as server:
        server.keep_busy()
        plain = [_among(server, Kinds(server.port, _SLOW, _SLOW), run) for run in range(runs)]
        wait_for("a deployment", lambda: server.value("SELECT count(*) FROM deployment"))
        id = server.value("SELECT id FROM deployment WHERE status = 'in_progress'")
        story = f"/api/v1/deployments/{id}/events"
        viewers = Kinds(server.port, _SLOW, _SLOW, _VIEWERS, _DEAF, story=story, token=server.token("viewer"))
        watched = [_among(server, viewers, runs + run) for run in range(runs)]
        memory = round(server.rss_mb(), 1)
    return [
        *_rows("", plain, "1,000 slow"),
        *_rows("_streams", watched, "and 200 viewers, 50 of them deaf"),
        Row("rss_after_mb", memory, "MB", "<= 120", (memory,)),
    ]


def _among(server: Server, kinds: Kinds, run: int) -> Sent:
    """Returns the answers to an honest client among the slow ones."""
    with Crowd(kinds) as crowd:
        sent = send(
            Load(server.port, "/webhook", 30_000, 1, _SECONDS, SECRET, first=run * 1000, pause=_PAUSE)
        )
    print(f"{sent.statuses}, p99 {sent.percentile(0.99):.0f} ms; crowd: {crowd.seen}", file=sys.stderr)
    return sent


def _rows(suffix: str, sent: Sequence[Sent], among: str) -> list[Row]:
    success = tuple(one.count(202) / len(one.times_ms) for one in sent)
    p99 = tuple(round(one.percentile(0.99), 1) for one in sent)
    count = sum(len(one.times_ms) for one in sent)
    return [
        Row(f"honest_success{suffix}", min(success), "", "= 1", success, f"{count} deliveries, {among}"),
        Row(f"honest_p99_ms{suffix}", statistics.median(p99), "ms", "<= 250", p99, among),
    ]
