"""Steady load on one URL of this machine. In: URL, rates. Out: every request with its time, kind, result and
the text served.

The load runs in its own process, so that it shares no interpreter with the measurement. No request is
repeated: a lost request counts. Loopback only, bounded by `limit` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

NEW, KEPT = "new", "keep-alive"
_TIMEOUT = 5.0
_LOST = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError)
_CONNECTIONS = 8
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Sample:
    """One request: seconds since the load began, its kind, its success, its duration in seconds, and the
    first bytes of the answer, or the error of a lost request.
    """

    at: float
    kind: str
    good: bool
    took: float
    text: str


@dataclass(frozen=True)
class Report:
    """All samples of a load."""

    samples: tuple[Sample, ...]

    def lost(self, kind: str) -> int:
        return sum(1 for sample in self.samples if sample.kind == kind and not sample.good)

    def losses(self) -> list[str]:
        """Returns the lost requests, each with its time and error."""
        lost = [sample for sample in self.samples if not sample.good]
        return [f"{one.at:.3f} s {one.kind} {one.took:.3f} s {one.text[:80]}" for one in lost]

    @property
    def gap_ms(self) -> float:
        """Returns the longest time between two successive good answers."""
        ends = sorted(sample.at + sample.took for sample in self.samples if sample.good)
        return max((later - earlier for earlier, later in itertools.pairwise(ends)), default=0.0) * 1000

    def first(self, text: str) -> float | None:
        """Returns the time of the first good answer that contains `text`."""
        return min((s.at + s.took for s in self.samples if s.good and text in s.text), default=None)


class Load:
    """Context manager of a load, by default 100 new connections and 100 keep-alive requests a second."""

    def __init__(
        self,
        url: str,
        *,
        new: int = 100,
        kept: int = 100,
        limit: float = 300.0,
        connections: int = _CONNECTIONS,
    ) -> None:
        given = (url, str(new), str(kept), str(limit), str(connections))
        self._argv = [sys.executable, "-m", "testing.load.http_load", *given]
        self._process: subprocess.Popen[str] | None = None
        self.began = 0.0
        self.report = Report(())

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )
        assert self._process.stdout
        self.began = float(self._process.stdout.readline())  # time.time() of the first request
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        out, _ = self._process.communicate("stop\n", timeout=30)
        self.report = Report(tuple(Sample(*row) for row in json.loads(out)))


class _Runner:
    """The load itself, inside its process."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.tls = _trusting() if parts.scheme == "https" else None
        self.path = parts.path or "/"
        if not ipaddress.ip_address(self.host).is_loopback:
            raise SystemExit(f"load goes to this machine only, not to {self.host}")
        self.samples: list[Sample] = []
        self.began = 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, new: int, kept: int, limit: float, connections: int) -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
        self.began = time.time()
        print(self.began, flush=True)
        loads = [asyncio.create_task(self._connect_at(new))]
        loads += [asyncio.create_task(self._keep(kept / connections)) for _ in range(connections)]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), limit)
        for load in loads:
            load.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        print(json.dumps([[s.at, s.kind, s.good, s.took, s.text] for s in self.samples]))

    async def _connect_at(self, rate: int) -> None:
        due = time.monotonic()
        while rate:
            task = asyncio.create_task(self._one())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            due += 1 / rate  # by the clock: on a busy machine sleeps are late, and the rate would fall
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self) -> None:
        begun = time.time()
        good, text = False, ""
        try:
            async with asyncio.timeout(_TIMEOUT):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls)
                good, text, _ = await self._ask(reader, writer, "close")
                writer.close()
        except _LOST as error:
            text = repr(error)
        self._note(begun, NEW, good, text)

    async def _keep(self, rate: float) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while rate:
            begun = time.time()
            good, text, again = False, "", False
            try:
                async with asyncio.timeout(_TIMEOUT):
                    streams = streams or await asyncio.open_connection(self.host, self.port, ssl=self.tls)
                    good, text, again = await self._ask(*streams, "keep-alive")
            except _LOST as error:
                text = repr(error)
            self._note(begun, KEPT, good, text)
            if not again and streams:
                streams[1].close()
                streams = None
            await asyncio.sleep(max(0.0, 1 / rate - (time.time() - begun)))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: str
    ) -> tuple[bool, str, bool]:
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: load\r\nConnection: {connection}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        good = head.split(" ", 2)[1] == "200"
        if "transfer-encoding: chunked" in head:
            body = await _read_chunks(reader)
        else:
            body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
        return good, body[:80].decode(errors="replace"), "connection: close" not in head

    def _note(self, begun: float, kind: str, good: bool, text: str) -> None:
        self.samples.append(Sample(begun - self.began, kind, good, time.time() - begun, text))


def _trusting() -> ssl.SSLContext:
    """Returns a TLS context without certificate checks: the load counts answers alone."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


if __name__ == "__main__":
    _url, _new, _kept, _limit, _connections = sys.argv[1:]
    asyncio.run(_Runner(_url).run(int(_new), int(_kept), float(_limit), int(_connections)))
