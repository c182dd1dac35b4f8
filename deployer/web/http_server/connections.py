"""Connection limits of the server. In: waitress' server. Out: a server that slow, silent or non-reading
clients cannot fill, however many they are.

waitress itself ends a connection only when nothing at all happened on it: a client that sends a byte now and
then keeps its connection for ever, and one that does not read keeps a thread. Here a request must be complete
and an answer must be read within a time limit, and near the connection limit the connections that have waited
longest without a request are closed. Runs in the server's own loop; nothing else touches connections.
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
_ACCEPTS = 100  # per round
# waitress looks at every connection in every round. Many clients that send single bytes would keep it busy
# with that alone, so above this number of connections it pauses a moment and then reads more per round.
_CROWD, _REST = 200, 0.01  # connections, seconds
_SPARE = 256  # descriptors for everything but connections


@dataclass(frozen=True)
class Patience:
    """Time limits in seconds."""

    request: float = 20.0  # GitHub gives a whole delivery 10
    reading: float = 10.0  # without a byte read of a waiting answer


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A client's connection. `waiting_since` is the time at which the still incomplete request began: with
    the connection, or with its first byte after the previous request.
    """

    parser_class = Parser
    task_class = Task

    def __init__(self, server: Any, sock: socket.socket, *more: Any, **named: Any) -> None:
        # The system would buffer megabytes for a client that does not read, which would then seem to read.
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
        """True if the connection's time is over."""
        if self.total_outbufs_len:
            return time.time() - float(self.last_activity) > patience.reading
        return (
            not self.requests
            and self.waiting_since is not None
            and time.monotonic() - self.waiting_since > patience.request
        )


def keep_in_bounds(server: Any, patience: Patience | None = None) -> None:
    """Applies the limits to a server. Call it before the server accepts its first connection."""
    allowed = patience or Patience()
    server.channel_class = Channel
    forget_idle = server.maintenance

    def maintenance(now: float) -> None:
        forget_idle(now)
        channels = list(server.active_channels.values())
        late = [channel for channel in channels if channel.late(allowed)]
        for channel in late or _excess(channels, int(server.adj.connection_limit)):
            channel.handle_close()  # not will_close: this client's socket may never become writable

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
    """Accepts up to `_ACCEPTS` connections in a round. waitress accepts one, so when many clients reconnect
    at once, others wait long.
    """
    accept_one = server.handle_accept

    def handle_accept() -> None:
        for _ in range(_ACCEPTS):
            before = len(server.active_channels)
            accept_one()
            if len(server.active_channels) == before:
                return

    server.handle_accept = handle_accept


def _excess(channels: list[Channel], limit: int) -> list[Channel]:
    """Returns the connections to close near the limit: a quarter of it, those that have waited longest."""
    if len(channels) < limit * 9 // 10:
        return []
    waiting = [channel for channel in channels if not channel.requests and not channel.total_outbufs_len]
    return sorted(waiting, key=lambda channel: float(channel.creation_time))[: limit // 4]


def connection_limit() -> int:
    """Returns the number of connections that the system's limit on open files allows, after raising that
    limit as far as this process may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _SPARE
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return MOST if soft == resource.RLIM_INFINITY else max(64, min(MOST, soft - _SPARE))
