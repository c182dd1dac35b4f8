"""The system calls of an accepted delivery: its commit is on the disk before the first byte of its 202."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testing.load.webhook_load import Load, send
from testing.receiver.receiver_process import SECRET, Server

DELIVERIES = 100
_CALL = re.compile(
    r"^(?P<thread>\d+) +(?:(?P<call>\w+)\((?P<rest>.*)|<\.\.\. (?P<again>\w+) resumed>(?P<end>.*))"
)


class Calls:
    """One thread's calls, as strace tells them: is the database synced since its last answer?"""

    def __init__(self) -> None:
        self.synced = False
        self.waits_for = ""  # the file whose sync has not returned yet
        self.early: list[str] = []
        self.answers = 0

    def read(self, line: re.Match[str]) -> None:
        if line["again"] == "fdatasync":
            self._synced(self.waits_for, line["end"])
        elif line["call"] == "fdatasync" and "unfinished" in line["rest"]:
            self.waits_for = line["rest"]
        elif line["call"] == "fdatasync":
            self._synced(line["rest"], line["rest"])
        elif line["call"] == "sendto" and '"HTTP/1.1 202' in line["rest"]:
            self.answers += 1
            self.early += [] if self.synced else [line.string]
            self.synced = False

    def _synced(self, file: str, end: str) -> None:
        self.synced = self.synced or ("deployer.db-wal" in file and end.rstrip().endswith("= 0"))


def traced(server: Server, log: Path) -> list[Calls]:
    """All threads' calls while deliveries are accepted."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-e", "trace=fdatasync,fsync,sendto", "-o", str(log), "-p", str(server.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stderr and "attached" in tracer.stderr.readline()
        sent = send(Load(server.port, "/webhook", 30_000, 2, DELIVERIES / 2, SECRET, rate=1))
        assert sent.statuses == {"202": DELIVERIES}
    finally:
        tracer.terminate()
        tracer.wait(10)
    threads: dict[str, Calls] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := _CALL.match(line):
            threads.setdefault(found["thread"], Calls()).read(found)
    return list(threads.values())


class Endpoint(Server):
    """A server that becomes `deployer web` alone: a whole one has to make the key first."""

    alone = False

    @property
    def _program(self) -> tuple[str, ...]:
        return ("-m", "deployer", "web") if self.alone else super()._program

    def leave_the_door(self) -> None:
        self.end()
        self.alone = True
        self.start()


@pytest.mark.case("F07")
@pytest.mark.parametrize("alone", [False, True], ids=["whole", "web"])
def test_every_delivery_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, alone: bool) -> None:
    if not shutil.which("strace"):
        pytest.fail("strace is missing: script/test installs it on Debian, elsewhere install it yourself")
    with Endpoint(2) as server:
        server.keep_busy()
        if alone:
            server.leave_the_door()
        threads = traced(server, tmp_path / "calls")
    assert sum(thread.answers for thread in threads) == DELIVERIES
    assert [line for thread in threads for line in thread.early] == []
