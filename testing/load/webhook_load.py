"""Signed `workflow_run` deliveries of a chosen size, each sent after the answer to the one before, over a
number of connections. In: address, size, connections, seconds. Out: every answer's status and time.

Runs in its own process, so that it shares no interpreter with the measurement; loopback only. Every delivery
is another run with its own GUID and signature, made before the clock starts. Connection N sends for app N, so
that no delivery overtakes another one of its app.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testing.receiver.receiver_inputs import run_payload
from testing.receiver.receiver_process import repository_id

_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT = 30.0
_RUN_DIGITS, _FIRST_RUN = 10, 1_000_000_000
_LINE = "* Keep what the receiver has accepted also when the disk is full\n"
_SMALLEST_REAL = 25_000  # bytes; smaller payloads leave out unused fields


@dataclass(frozen=True)
class Load:
    """Deliveries to send. `first` is the first run's number: a second load of the same app continues the
    numbers.
    """

    port: int
    path: str
    size: int
    connections: int
    seconds: float
    secret: str
    first: int = 0
    dense: bool = False
    pause: float = 0.0  # seconds between two deliveries, each on its own connection; 0: no pause
    rate: int = 4000  # largest number of prepared deliveries per second and connection

    @property
    def count(self) -> int:
        """Returns the number of deliveries to prepare for each connection; it limits the load, not the
        measurement.
        """
        if self.pause:
            return int(self.seconds / self.pause)
        return min(int(self.seconds * self.rate), max(200, 400_000_000 // self.size))


@dataclass(frozen=True)
class Sent:
    """Result of a load: statuses, and each answer's time in milliseconds."""

    seconds: float
    statuses: dict[str, int]
    times_ms: tuple[float, ...]

    def count(self, *statuses: int) -> int:
        return sum(self.statuses.get(str(status), 0) for status in statuses)

    @property
    def rate(self) -> float:
        return len(self.times_ms) / self.seconds

    def percentile(self, share: float) -> float:
        return percentile(self.times_ms, share)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def send(load: Load) -> Sent:
    """Sends a load from its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "testing.load.webhook_load", json.dumps(asdict(load))],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return Sent(found["seconds"], found["statuses"], tuple(found["times_ms"]))


class Template:
    """One app's delivery of `size` bytes, of which only the run's number changes."""

    def __init__(self, app: int, size: int, *, dense: bool = False) -> None:
        text = json.dumps(_payload(app, size, dense)).encode()
        assert len(text) == size, (len(text), size)
        mark = f'"run_number": {_FIRST_RUN}'.encode()
        self._at = text.index(mark) + len(mark) - _RUN_DIGITS
        self._body = bytearray(text)

    def body(self, run: int) -> bytearray:
        """Returns the body in the same memory at every call."""
        self._body[self._at : self._at + _RUN_DIGITS] = str(_FIRST_RUN + run).encode()
        return self._body


def _payload(app: int, size: int, dense: bool) -> dict[str, Any]:
    """Returns GitHub's own example with a commit message of the needed length, or with many unused commits
    where it should be dense; a smaller one keeps the fields that the receiver reads.
    """
    payload = run_payload(repository_id=repository_id(app), run_number=_FIRST_RUN)
    payload["workflow_run"]["head_repository"]["id"] = repository_id(app)
    if size < _SMALLEST_REAL:
        payload = _needed(payload)
    commit = payload["workflow_run"].setdefault("head_commit", {})
    commit["message"] = ""
    if dense:
        payload["commits"] = list[Any]()
        each = len(json.dumps(run_payload()["workflow_run"]["repository"])) + 2
        repository = run_payload()["workflow_run"]["repository"]
        payload["commits"] += [repository] * ((size - len(json.dumps(payload))) // each)
    commit["message"] = _message(size - len(json.dumps(payload)))
    return payload


def _message(size: int) -> str:
    """Returns a message that takes `size` bytes in JSON, where a line feed takes two."""
    lines, rest = divmod(size, len(_LINE) + 1)
    return _LINE * lines + "x" * rest


def _needed(payload: dict[str, Any]) -> dict[str, Any]:
    run = payload["workflow_run"]
    kept = ("conclusion", "event", "head_branch", "head_sha", "path", "run_number", "run_attempt", "id")
    return {
        "action": payload["action"],
        "repository": {"id": payload["repository"]["id"]},
        "workflow_run": {name: run[name] for name in kept}
        | {"head_repository": {"id": run["head_repository"]["id"]}, "actor": {"login": "octocat"}},
    }


class _Sender:
    """One connection."""

    def __init__(self, load: Load, app: int) -> None:
        self._load = load
        self._template = Template(app, load.size, dense=load.dense)
        self._heads = [self._head(app, run) for run in range(load.first, load.first + load.count)]
        self.statuses: list[int] = []
        self.times: list[float] = []

    def run(self, end: float) -> None:
        if self._load.pause:
            self._one_by_one()
            return
        with self._connected() as connection:
            for run, head in enumerate(self._heads, self._load.first):
                if time.perf_counter() > end:
                    return
                self._deliver(connection, run, head)

    def _one_by_one(self) -> None:
        for run, head in enumerate(self._heads, self._load.first):
            begun = time.perf_counter()
            try:
                with self._connected() as connection:
                    self._deliver(connection, run, head)
            except OSError:
                self._note(0, time.perf_counter() - begun)
            time.sleep(max(0.0, self._load.pause - (time.perf_counter() - begun)))

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._load.port), timeout=_TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _deliver(self, connection: socket.socket, run: int, head: bytes) -> None:
        begun = time.perf_counter()
        connection.sendall(head + self._template.body(run))
        self._note(_status(connection), time.perf_counter() - begun)

    def _note(self, status: int, took: float) -> None:
        self.statuses.append(status)
        self.times.append(took)

    def _head(self, app: int, run: int) -> bytes:
        body = self._template.body(run)
        signature = hmac.new(self._load.secret.encode(), body, hashlib.sha256).hexdigest()
        return (
            f"POST {self._load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"User-Agent: GitHub-Hookshot/0000000\r\nX-GitHub-Event: workflow_run\r\n"
            f"X-GitHub-Delivery: {app:08x}-0000-4000-8000-{run:012x}\r\n"
            f"X-GitHub-Hook-ID: {app + 1}\r\nX-GitHub-Hook-Installation-Target-Type: repository\r\n"
            f"X-GitHub-Hook-Installation-Target-ID: {repository_id(app)}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()


def _status(connection: socket.socket) -> int:
    """Reads one answer to its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _some(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    missing = _length(head) - len(body)
    while missing > 0:
        missing -= len(_some(connection))
    return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _some(connection: socket.socket) -> bytes:
    got = connection.recv(65536)
    if not got:
        raise ConnectionError("the connection ended in the middle of an answer")
    return got


def _together(senders: Sequence[_Sender], seconds: float) -> float:
    """Runs all functions at once and returns the seconds until the last has ended."""
    begun = time.perf_counter()
    threads = [threading.Thread(target=sender.run, args=(begun + seconds,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def _counted(statuses: Iterator[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in statuses:
        found[str(status)] = found.get(str(status), 0) + 1
    return found


def _main() -> None:
    load = Load(**json.loads(sys.argv[1]))
    senders = [_Sender(load, app) for app in range(load.connections)]
    seconds = _together(senders, load.seconds)
    times = [round(took * 1000, 3) for sender in senders for took in sender.times]
    statuses = _counted(status for sender in senders for status in sender.statuses)
    json.dump({"seconds": seconds, "statuses": statuses, "times_ms": times}, sys.stdout)


if __name__ == "__main__":
    _main()
