"""Slow clients. In: an address, how many clients of each kind. Out: connections that stay open until the
context ends, and the number of cut ones.

Runs in its own process; loopback only. A client that is cut off reconnects at once, so that their number
stays the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).resolve().parents[2]
_TRICKLE = 1.0  # seconds between two bytes
_FILES = 4096
_PATIENCE = 30.0


@dataclass(frozen=True)
class Kinds:
    """Number of clients of each kind. `story` is the path of the event stream that viewers open with
    `token`.
    """

    port: int
    headers: int = 0
    bodies: int = 0
    viewers: int = 0
    deaf: int = 0
    idle: int = 0
    story: str = ""
    token: str = ""


class Crowd:
    """Context manager of the clients; `seen` afterwards counts their results."""

    def __init__(self, kinds: Kinds) -> None:
        self._argv = [sys.executable, "-m", "testing.load.slow_clients", json.dumps(asdict(kinds))]
        self._process: subprocess.Popen[str] | None = None
        self.seen: dict[str, int] = {}

    def __enter__(self) -> Crowd:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "there\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        out, _ = self._process.communicate("stop\n", timeout=30)
        self.seen = json.loads(out)


_Member = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Members:
    """All clients, inside their process."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._seen: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        kinds = self._kinds
        counts = (
            (self._slow_headers, kinds.headers),
            (self._slow_body, kinds.bodies),
            (self._viewer, kinds.viewers),
            (self._deaf_viewer, kinds.deaf),
            (self._idle, kinds.idle),
        )
        for member, count in counts:
            for _ in range(count):
                self._tasks.append(asyncio.create_task(self._again(member)))
        while self._seen["opened"] < sum(count for _, count in counts):
            await asyncio.sleep(0.05)
        print("there", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        json.dump(self._seen, sys.stdout)

    async def _again(self, member: _Member) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._kinds.port, limit=65_536)
                self._seen["opened"] += 1
                await member(reader, writer)
            self._seen["cut off"] += 1
            await asyncio.sleep(0.1)

    async def _slow_headers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /webhook HTTP/1.1\r\nHost: slow\r\nX-Slow: ")
        await self._trickle(reader, writer)

    async def _slow_body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"POST /webhook HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\n"
            b"Content-Length: 30000\r\n\r\n" + b" " * 20_000
        )
        await self._trickle(reader, writer)

    async def _trickle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.ensure_future(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=_TRICKLE)
        writer.close()
        await ended

    async def _viewer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._view())
        status = (await reader.readline()).split(b" ")[1].decode()
        self._seen[f"viewer {status}"] += 1
        await reader.read()
        writer.close()
        if status == "503":  # may poll instead
            await asyncio.sleep(_PATIENCE)

    async def _deaf_viewer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Opens a stream with a small receive buffer and never reads it."""
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport can
        writer.write(self._view())
        while not writer.transport.is_closing():
            await asyncio.sleep(1)

    async def _idle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    def _view(self) -> bytes:
        kinds = self._kinds
        head = f"GET {kinds.story} HTTP/1.1\r\nHost: viewer\r\nAuthorization: Bearer {kinds.token}\r\n"
        return f"{head}Connection: close\r\n\r\n".encode()


def _main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))
    asyncio.run(_Members(Kinds(**json.loads(sys.argv[1]))).run())


if __name__ == "__main__":
    _main()
