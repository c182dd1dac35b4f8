"""The receiver as a process on a machine that fails it: what it says, and that it comes back."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from testing.docker.docker_cli import wait_for
from testing.receiver.receiver_process import Server
from tests.scenarios.faults.test_kills import deliver, unfinished

RETRY_WITHIN = 8.0  # seconds until a delivery that cannot be stored is told so; GitHub waits 10


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(1, deploys=0.0) as running:
        assert deliver(running, 0, 1)[0] == 202
        wait_for("its deploy", lambda: not unfinished(running))
        yield running


def refused(server: Server) -> str:
    """What it prints when it does not start."""
    begun = len(server.log)
    server.launch()
    assert server.child
    assert server.child.wait(timeout=40) == 1
    said = server.log[begun:]
    assert "deployer cannot start: " in said and "Traceback" not in said
    return said


@pytest.mark.case("F03")
def test_a_database_that_somebody_holds_is_503_and_then_takes_what_comes_again(server: Server) -> None:
    with closing(sqlite3.connect(server.state / "deployer.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        status, answer = deliver(server, 0, 2)
        assert (status, answer["error"]) == (503, "store-unavailable")
        assert time.monotonic() - begun < RETRY_WITHIN
        other.execute("ROLLBACK")
    assert deliver(server, 0, 2)[0] == 202
    wait_for("its deploy", lambda: not unfinished(server))
    assert server.value("SELECT count(*) FROM deployment WHERE status = 'success'") == 2


@pytest.mark.case("F03")
def test_a_corrupt_database_refuses_the_start_and_is_left_as_it_is(server: Server) -> None:
    server.end(signal.SIGTERM)
    path = server.state / "deployer.db"
    broken = path.read_bytes()[:8192] + b"\x5a" * (path.stat().st_size - 8192)
    path.write_bytes(broken)
    said = refused(server)
    assert "the file is corrupt" in said and "backup" in said
    assert path.read_bytes() == broken


@pytest.mark.case("F03")
def test_a_log_of_the_database_that_is_gone_costs_only_what_was_in_it(server: Server) -> None:
    """Somebody deleted it after a kill: the file itself is whole, and the server goes on from it."""
    with closing(sqlite3.connect(server.state / "deployer.db")) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    server.end()
    for name in ("deployer.db-wal", "deployer.db-shm"):
        (server.state / name).unlink(missing_ok=True)
    server.start()
    assert server.value("SELECT count(*) FROM deployment") == 1
    assert deliver(server, 0, 2)[0] == 202
    assert server.value("PRAGMA integrity_check") == "ok"


@pytest.fixture
def own_disk(server: Server) -> Iterator[Path]:
    """The state folder on a file system of its own."""
    server.end(signal.SIGTERM)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "none", server.state], check=True)
    yield server.state
    server.end()
    subprocess.run(["umount", "--lazy", server.state], check=True)


@pytest.mark.case("F03")
def test_a_read_only_file_system_refuses_the_start_and_says_so(server: Server, own_disk: Path) -> None:
    server.start()
    server.end(signal.SIGTERM)
    subprocess.run(["mount", "-o", "remount,ro", own_disk], check=True)
    assert "read-only" in refused(server).lower()
    subprocess.run(["mount", "-o", "remount,rw", own_disk], check=True)
    server.start()
    assert deliver(server, 0, 2)[0] == 202


@pytest.mark.case("F03")
def test_a_full_disk_is_refused_seen_in_the_health_and_over_once_there_is_room(
    server: Server, own_disk: Path
) -> None:
    server.start()
    assert deliver(server, 0, 2)[0] == 202
    assert server.get("/health")[0] == 200
    with (own_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
    assert deliver(server, 0, 3)[0] == 503
    assert server.get("/health")[0] == 503
    (own_disk / "filler").unlink()
    wait_for("room", lambda: server.get("/health")[0] == 200, 10)
    assert deliver(server, 0, 3)[0] == 202
    assert server.value("PRAGMA integrity_check") == "ok"


@pytest.mark.long
@pytest.mark.case("F11")
def test_a_second_receiver_on_the_same_state_ends_and_the_first_goes_on(server: Server) -> None:
    with Server(1, state=server.state, starts=False) as second:
        assert "web.lock" in refused(second)
    assert deliver(server, 0, 2)[0] == 202
