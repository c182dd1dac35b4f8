"""What the receiver takes, side by side in one run with Debian's `webhook`: rates, times, memory.

In: how many runs. Out: rows. All get the same signed deliveries from the same sender. Ours has stored and
synced a delivery when it answers 202, while its worker has a deployment under way. `webhook` keeps nothing
by itself, so two of it run:

- One has a command that stores the delivery, with one `fdatasync`, and answers when that has ended: a 202
  means the same on both sides. `rate_ratio_*` and `p99_ms_*` compare with it.
- The other runs `/bin/true` and answers before: what it answered and did not run yet exists in its memory
  only. `ran_ratio_*` compares with the commands that it ran, `ack_ratio_*` with what it merely answered;
  the memory rows are its own, which store nothing.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.rows import Row, say
from testing.docker.docker_cli import free_port, wait_for
from testing.load.unsigned_bodies import CHUNKED, KNOWN, flood
from testing.load.webhook_load import Load, Sent, send
from testing.receiver.receiver_process import SECRET, Server, rss_mb

_SECONDS = 2.5  # of one load
_CONNECTIONS = (1, 8)
_SIZES = {"1kb": 1_000, "30kb": 30_000, "1mb": 1_000_000}
_RATE_GOALS = {"1kb": "", "30kb": ">= 1.0", "1mb": ">= 1.5"}
_DENSE = "1mb_dense"  # many small objects instead of one long text: the most expensive to parse
_UNSIGNED = 100  # bodies of each kind
_ACCEPTED = "SELECT coalesce(max(seq), 0) FROM deployment"  # also if older rows were pruned meanwhile
_QUIET = 0.1  # seconds without a child after which the peer has run its last command
_STORE = """#!/bin/sh
exec dd if="$PAYLOAD" of="${0%/*}/kept-$$" bs=1M conv=fdatasync status=none
"""


@dataclass(frozen=True)
class Cell:
    """One load: size and connections."""

    size: str
    connections: int

    def __str__(self) -> str:
        return f"{self.size}_c{self.connections}"

    def load(self, port: int, path: str, first: int = 0) -> Load:
        bytes_ = _SIZES[self.size.partition("_")[0]]
        dense = self.size == _DENSE
        return Load(port, path, bytes_, self.connections, _SECONDS, SECRET, first, dense)


CELLS = [Cell(size, count) for size in _SIZES for count in _CONNECTIONS] + [Cell(_DENSE, 8)]


@dataclass
class Side:
    """Results of one of the two receivers. `rates`: processed deliveries a second; `acks`: answered ones a
    second.
    """

    rates: dict[Cell, list[float]] = field(default_factory=dict)
    acks: dict[Cell, list[float]] = field(default_factory=dict)
    p99: dict[Cell, list[float]] = field(default_factory=dict)
    idle: float = 0.0
    load: float = 0.0
    growth: float = 0.0

    def note(self, cell: Cell, sent: Sent, lag: float) -> None:
        self.rates.setdefault(cell, []).append(len(sent.times_ms) / (sent.seconds + lag))
        self.acks.setdefault(cell, []).append(sent.rate)
        self.p99.setdefault(cell, []).append(sent.percentile(0.99))


def measure(runs: int) -> Sequence[Row]:
    """Measures load by load in turn, `runs` times; then the unsigned bodies."""
    mine, storing, other = Side(), Side(), Side()
    with Server(max(_CONNECTIONS)) as server, Peer(stores=True) as store, Peer() as peer:
        server.keep_busy()
        mine.idle, other.idle = server.rss_mb(), peer.rss_mb()
        with _Most(server.pid) as ours_most, _Most(peer.pid) as peer_most:
            for run in range(runs):
                for number, cell in enumerate(CELLS):
                    first = (run * len(CELLS) + number) * 1_000_000
                    turns = [
                        partial(_run_peer, cell, store, storing),
                        partial(_run_peer, cell, peer, other),
                        partial(_run_ours, cell, server, mine, first),
                    ]
                    for turn in range(len(turns)):  # the order alternates
                        turns[(run + turn) % len(turns)]()
                    ran = [side.rates[cell][-1] for side in (mine, storing, other)]
                    say("{}: {:.0f}/s, webhook {:.0f}/s stored, {:.0f}/s ran".format(cell, *ran))
        mine.load, other.load = ours_most.mb, peer_most.mb
        mine.growth = _growth(server.pid, server.port, "/webhook", 413)
        other.growth = _growth(peer.pid, peer.port, "/hooks/deploy", 401)
    return _rows(mine, storing, other)


def _run_ours(cell: Cell, server: Server, side: Side, first: int) -> None:
    before = server.value(_ACCEPTED)
    sent = send(cell.load(server.port, "/webhook", first))
    stored = server.value(_ACCEPTED) - before
    assert sent.count(202) == len(sent.times_ms) == stored, (sent.statuses, stored)
    side.note(cell, sent, 0.0)


def _run_peer(cell: Cell, peer: Peer, side: Side) -> None:
    sent = send(cell.load(peer.port, "/hooks/deploy"))
    assert sent.count(202) == len(sent.times_ms), sent.statuses
    side.note(cell, sent, peer.finish(len(sent.times_ms)))


def _growth(pid: int, port: int, path: str, refused: int) -> float:
    """Returns the MB (2^20 bytes) by which a process has grown."""
    before = rss_mb(pid)
    for kind in (KNOWN, CHUNKED):
        statuses = flood(port, path, kind, _UNSIGNED)
        assert set(statuses) <= {refused, 0}, statuses
    return rss_mb(pid) - before


def _rows(mine: Side, storing: Side, other: Side) -> list[Row]:
    rows = [_rate_row("rate_ratio", cell, mine.rates[cell], storing.rates[cell]) for cell in CELLS]
    rows += [_rate_row("ran_ratio", cell, mine.rates[cell], other.rates[cell]) for cell in CELLS]
    rows += [_rate_row("ack_ratio", cell, mine.acks[cell], other.acks[cell]) for cell in CELLS]
    rows += [_p99_row(cell, mine.p99[cell], storing.p99[cell]) for cell in CELLS]
    for key, goal in (("idle", "<= 60"), ("load", "<= 90")):
        rows += _memory_rows(f"rss_{key}_mb", goal, getattr(mine, key), getattr(other, key))
    return rows + _memory_rows("rss_growth_unsigned_mb", "<= 20", mine.growth, other.growth)


def _rate_row(key: str, cell: Cell, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    ratios = tuple(round(mine / peer, 2) for mine, peer in zip(ours, theirs, strict=True))
    text = f"{statistics.median(ours):.0f}/s, webhook {statistics.median(theirs):.0f}/s"
    goal = _RATE_GOALS.get(cell.size, "") if key == "rate_ratio" else ""
    return Row(f"{key}_{cell}", statistics.median(ratios), "", goal, ratios, text)


def _p99_row(cell: Cell, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    goal = "<= 10" if str(cell) == "30kb_c1" else ""
    runs = tuple(round(value, 1) for value in ours)
    text = f"webhook {statistics.median(theirs):.1f} ms"
    return Row(f"p99_ms_{cell}", statistics.median(runs), "ms", goal, runs, text)


def _memory_rows(key: str, goal: str, ours: float, theirs: float) -> list[Row]:
    mine, peer = round(ours, 1), round(theirs, 1)
    return [
        Row(key, mine, "MB", goal, (mine,), f"webhook {peer:g} MB"),
        Row(f"peer_{key}", peer, "MB", "", (peer,), "webhook itself"),
    ]


class Peer:
    """Debian's `webhook` with one hook, which checks the signature and runs `/bin/true`, or `stores`."""

    def __init__(self, *, stores: bool = False) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp")
        folder = Path(self._folder.name)
        hooks, command = folder / "hooks.json", folder / "store"
        command.write_text(_STORE, encoding="utf-8")
        command.chmod(0o755)
        self._stores = stores
        hook = {**_HOOK, **(_storing(command) if stores else {"execute-command": "/bin/true"})}
        hooks.write_text(json.dumps([hook]), encoding="utf-8")
        self._argv = ["webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(self.port)]
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child
        return self._child.pid

    def __enter__(self) -> Peer:
        self._child = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the peer's answer", lambda: _listens(self.port), 20)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child
        self._child.kill()
        self._child.wait()
        self._folder.cleanup()

    def rss_mb(self) -> float:
        return rss_mb(self.pid)

    def finish(self, answered: int) -> float:
        """Returns the seconds until it has run every answered delivery; stored deliveries are counted and
        removed.
        """
        if not self._stores:
            return self._lag()
        kept = list(Path(self._folder.name).glob("kept-*"))
        assert len(kept) == answered, (len(kept), answered)
        for file in kept:
            file.unlink()
        return 0.0

    def _lag(self) -> float:
        begun = seen = time.monotonic()
        while time.monotonic() - seen < _QUIET:
            if self._children():
                seen = time.monotonic()
            time.sleep(0.002)
        return seen - begun

    def _children(self) -> bool:
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return any(task.read_text(encoding="ascii").strip() for task in tasks)


def _storing(command: Path) -> dict[str, object]:
    return {
        "execute-command": str(command),
        "pass-file-to-command": [{"source": "entire-payload", "envname": "PAYLOAD"}],
        "include-command-output-in-response": True,
    }


_HOOK = {
    "id": "deploy",
    "success-http-response-code": 202,
    "trigger-rule-mismatch-http-response-code": 401,
    "trigger-rule": {
        "match": {
            "type": "payload-hmac-sha256",
            "secret": SECRET,
            "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
        }
    },
}


def _listens(port: int) -> bool:
    hexed = f":{port:04X} "
    listed = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    return any(hexed in line and " 0A " in line for line in listed)


class _Most:
    """Highest memory of a process during a load."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Most:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.mb = max(self.mb, rss_mb(self._pid))
