"""Which connections the server keeps. In: waitress' server. Out: one that no number of slow, silent or
deaf clients fills.

waitress itself ends a connection only when nothing at all happened on it: a client that sends a byte now and
then keeps its place for ever, and one that does not read keeps a thread. Here a request has to be whole and
an answer has to be read within a time; and when places run out, those who have waited longest without a
request make room. Runs in the server's own loop, beside which nothing else touches connections.
"""

from __future__ import annotations

import resource
import socket
import time
from dataclasses import dataclass
from typing import Any

from waitress.channel import HTTPChannel

from deployer.web.http_server.http_parser import Parser, Task

MOST = 2000
_UNREAD = 65_536  # bytes
_ACCEPTS = 100  # in one round
# waitress looks at every connection in every round. A crowd that sends single bytes would have it do nothing
# else, so from so many connections on it rests a moment, in which more can come to be read in one round.
_CROWD, _REST = 200, 0.01  # connections, seconds
_SPARE = 256  # descriptors for everything that is no connection


@dataclass(frozen=True)
class Patience:
    """Seconds."""

    request: float = 20.0  # GitHub gives a whole delivery 10
    reading: float = 10.0  # without a byte taken from an answer that waits


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """One connection. `waiting_since` is when the request began that is not whole yet: with the connection,
    or with its first byte behind the request before.
    """

    parser_class = Parser
    task_class = Task

    def __init__(self, server: Any, sock: socket.socket, *more: Any, **named: Any) -> None:
        # The system would let megabytes wait for who does not read, and it would look as if they did.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
        super().__init__(server, sock, *more, **named)
        self.waiting_since: float | None = time.monotonic()

    def received(self, data: bytes) -> bool:
        taken = bool(super().received(data))
        if self.request is None:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = time.monotonic()
        return taken

    def late(self, patience: Patience) -> bool:
        """Whether its time is over."""
        if self.total_outbufs_len:
            return time.time() - float(self.last_activity) > patience.reading
        return (
            not self.requests
            and self.waiting_since is not None
            and time.monotonic() - self.waiting_since > patience.request
        )


def keep_in_bounds(server: Any, patience: Patience | None = None) -> None:
    """To be called before the server accepts its first connection."""
    allowed = patience or Patience()
    server.channel_class = Channel
    forget_idle = server.maintenance

    def maintenance(now: float) -> None:
        forget_idle(now)
        channels = list(server.active_channels.values())
        late = [channel for channel in channels if channel.late(allowed)]
        for channel in late or _excess(channels, int(server.adj.connection_limit)):
            channel.handle_close()  # not will_close: the socket of who does not read never becomes writable

    server.maintenance = maintenance
    _rest_among_many(server)
    _accept_all(server)


def _rest_among_many(server: Any) -> None:
    asked_once_a_round = server.readable

    def readable() -> bool:
        if len(server.active_channels) > _CROWD:
            time.sleep(_REST)
        return bool(asked_once_a_round())

    server.readable = readable


def _accept_all(server: Any) -> None:
    """waitress takes one new connection a round: behind a crowd that comes back at once, others wait long."""
    accept_one = server.handle_accept

    def handle_accept() -> None:
        for _ in range(_ACCEPTS):
            before = len(server.active_channels)
            accept_one()
            if len(server.active_channels) == before:
                return

    server.handle_accept = handle_accept


def _excess(channels: list[Channel], limit: int) -> list[Channel]:
    """When nearly all places are taken: a quarter of them, from those who have waited longest."""
    if len(channels) < limit * 9 // 10:
        return []
    waiting = [channel for channel in channels if not channel.requests and not channel.total_outbufs_len]
    return sorted(waiting, key=lambda channel: float(channel.creation_time))[: limit // 4]


def connection_limit() -> int:
    """As many as the system's limit on open files allows, after raising it as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _SPARE
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return MOST if soft == resource.RLIM_INFINITY else max(64, min(MOST, soft - _SPARE))
