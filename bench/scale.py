"""A server with 1,000 apps and 100,000 past deployments against one with a single app and none.

In: how many runs. Out: rows. Both take the same signed deliveries and answer the same questions in turn, in
pieces; `*_ratio` compares the large server's p99 with the empty one's. Half of the past belongs to the
requested app. The large server's apps have a webhook secret each.
"""

from __future__ import annotations

import http.client
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from bench.rows import Row
from testing.docker.docker_cli import wait_for
from testing.load.webhook_load import Load, percentile, send
from testing.receiver.receiver_inputs import open_store
from testing.receiver.receiver_process import Server

APPS, PAST = 1000, 100_000
_SECONDS = 1.0  # of one piece
_PIECES = 8
_ASKED = 250  # questions in one piece


def measure(runs: int) -> Sequence[Row]:
    """Measures every run on its own servers, which prune nothing in the minute that it takes."""
    found = [_run() for _ in range(runs)]
    rss = tuple(round(rss, 1) for _, _, rss in found)
    return [
        _row("accept", [accept for accept, _, _ in found]),
        _row("status", [status for _, status, _ in found]),
        Row("rss_1000_apps_mb", statistics.median(rss), "MB", "", rss, f"{APPS} apps, {PAST} deployments"),
    ]


_Times = tuple[list[float], list[float]]


def _run() -> tuple[_Times, _Times, float]:
    """Measures accepting, reading, and the large server's memory."""
    with Server(1) as empty, Server(APPS, own_secrets=True, ready=_fill) as full:
        for server in (empty, full):
            server.keep_busy(1)
        accept = _pair(_accept, empty, full)
        askers = {server.port: _Asker(server) for server in (empty, full)}
        status = _pair(lambda server, _: askers[server.port].ask(), empty, full)
        left = full.value("SELECT count(*) FROM deployment WHERE id LIKE 'past-%'")
        assert left == PAST, f"{PAST - left} were forgotten meanwhile"
        return accept, status, full.rss_mb()


def _pair(once: Callable[[Server, int], list[float]], empty: Server, full: Server) -> _Times:
    """Returns the milliseconds of both, piece by piece in turn."""
    of_empty, of_full = list[float](), list[float]()
    for piece in range(_PIECES):
        of_empty += once(empty, piece)
        of_full += once(full, piece)
    return of_empty, of_full


def _accept(server: Server, piece: int) -> list[float]:
    first = PAST + piece * 100_000
    sent = send(Load(server.port, "/webhook", 30_000, 1, _SECONDS, server.secret(0).decode(), first))
    assert set(sent.statuses) == {"202"}, sent.statuses
    return list(sent.times_ms)


class _Asker:
    """A reader of the record and of the newest deployment's story."""

    def __init__(self, server: Server) -> None:
        wait_for("a deployment", lambda: server.value("SELECT count(*) FROM deployment"))
        id = server.value("SELECT id FROM deployment WHERE app = 'app-0' ORDER BY seq DESC LIMIT 1")
        self._path = f"/api/v1/deployments/{id}?after=0"
        self._headers = {"Authorization": f"Bearer {server.token('asker')}"}
        self._port = server.port

    def ask(self) -> list[float]:
        times: list[float] = []
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            for _ in range(_ASKED):
                begun = time.perf_counter()
                connection.request("GET", self._path, headers=self._headers)
                answer = connection.getresponse()
                answer.read()
                times.append((time.perf_counter() - begun) * 1000)
                assert answer.status == 200, answer.status
        return times


def _row(name: str, pairs: Sequence[_Times]) -> Row:
    p99 = [(percentile(empty, 0.99), percentile(full, 0.99)) for empty, full in pairs]
    ratios = tuple(round(full / empty, 2) for empty, full in p99)
    empty, full = (statistics.median(pair[n] for pair in p99) for n in (0, 1))
    text = f"{full:.1f} ms, empty {empty:.1f} ms"
    print(f"{name}: {text}", file=sys.stderr)
    return Row(f"{name}_p99_ratio", statistics.median(ratios), "", "<= 1.5", ratios, text)


def _fill(server: Server) -> None:
    """Fills the past of a server that ran for years without pruning."""
    open_store(server.state).close()
    with closing(sqlite3.connect(server.state / "deployer.db")) as database:
        rows = [_past(number) for number in range(PAST)]
        marks = ", ".join("?" * len(_COLUMNS))
        database.executemany(f"INSERT INTO deployment ({', '.join(_COLUMNS)}) VALUES ({marks})", rows)
        events = [
            (row[0], n, 1.0, kind, "a line of the story") for row in rows for n, kind in enumerate(_STORY, 1)
        ]
        database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", events)
        deliveries = [
            (f"guid-{n}", "workflow_run", "0" * 64, 1.0, "queued", "", row[0]) for n, row in enumerate(rows)
        ]
        names = "guid, event, body_sha256, received_at, outcome, reason, deployment_id"
        database.executemany(f"INSERT INTO delivery ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", deliveries)
        database.commit()


_COLUMNS = (
    *("id", "app", "environment", "kind", "trigger", "actor", "revision", "workflow", "run_number"),
    *("previous", "run_attempt", "images_sha256", "status", "reason", "created_at", "attempts", "release"),
)
_STORY = ("enqueue", "claim", "resolve", "plan", "end")


def _past(number: int) -> tuple[object, ...]:
    app = 0 if number % 2 else number // 2 % APPS
    status = ("success", "inactive", "failure", "inactive")[number % 4]
    place = (f"app-{app}", "production", "deploy", "webhook", "octocat", f"{number:040x}")
    run = (".github/workflows/deploy.yml", number, "", 1)
    return (f"past-{number:08}", *place, *run, "", status, "", 1.0, 1, "")
