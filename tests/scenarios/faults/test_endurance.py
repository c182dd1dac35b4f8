"""Minutes of deliveries, deploys, viewers and refusals: memory, descriptors and files stop growing.

Real but for the engine, the registry and GitHub, like `test_kills.py`. A day is lived in minutes: what is
kept is made small, and what happens every minute happens every second.
"""

from __future__ import annotations

import http.client
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing.receiver.receiver_process import Server
from tests.scenarios.faults.test_kills import deliver

APPS = 4
RATE = 25  # deliveries a second, five times what the busiest user sends
MOST_ROWS = 2_500  # without forgetting they were 30,000
LARGEST_LOG_MB = 16.0


@dataclass(frozen=True)
class Look:
    """What the server holds at one moment."""

    rss: float
    files: int
    threads: int
    log: float
    rows: int  # of all tables but the audit trail, which is to grow


def look(server: Server) -> Look:
    process = Path(f"/proc/{server.pid}")
    status = process.joinpath("status").read_text(encoding="ascii")
    return Look(
        rss=server.rss_mb(),
        files=len(list(process.joinpath("fd").iterdir())),
        threads=int(status.split("Threads:")[1].split()[0]),
        log=(server.state / "deployer.db-wal").stat().st_size / 1e6,
        rows=rows(server),
    )


def rows(server: Server) -> int:
    with server.database() as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counted = [table for table in tables if not table.startswith(("audit", "sqlite_"))]
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in counted)


def live(server: Server, seconds: float, first: int) -> int:
    """Deliveries for all apps, now and then an unsigned one and a dead connection; the next run's number."""
    end, number = time.monotonic() + seconds, first
    while time.monotonic() < end:
        begun = time.monotonic()
        for app in range(APPS):
            status, answer = deliver(server, app, number)
            assert status == 202, answer
        with suppress(OSError, http.client.HTTPException):
            server.get("/nothing/here")
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("POST", "/webhook", b"unsigned")
            connection.close()
        number += 1
        time.sleep(max(0.0, APPS / RATE - (time.monotonic() - begun)))
    return number


@pytest.mark.long
def test_a_long_time_under_load_holds_no_more_than_a_short_one() -> None:
    with Server(APPS, deploys=0.05, lives_fast=True) as server:
        number = live(server, 60, 1)
        early = look(server)
        live(server, 240, number)
        late = look(server)
        print(f"after 1 min: {early}\nafter 5 min: {late}")
        assert late.rss - early.rss < 8
        assert late.files <= early.files + 4 and late.threads <= early.threads + 4
        assert late.log <= LARGEST_LOG_MB
        assert late.rows <= MOST_ROWS
        assert server.value("PRAGMA integrity_check") == "ok"
        assert "Traceback" not in server.log
