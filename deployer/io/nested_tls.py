"""TLS inside another TLS connection: a server behind a proxy that itself speaks TLS. In: the connection to
the proxy. Out: as much of a socket as `http.client` uses.

`SSLContext.wrap_socket` takes over the descriptor, past the outer TLS, so records go through memory here.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable
from typing import Any, TypeVar, cast

_BLOCK = 16_384
_Result = TypeVar("_Result")


class NestedTls:
    """A TLS connection in a TLS connection. Closes the outer one when it and its readers are closed."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._users = 1
        self._move(self._tls.do_handshake)

    def fileno(self) -> int:
        """Returns the outer connection's descriptor."""
        return self._outer.fileno()

    def sendall(self, data: bytes) -> None:
        """Sends all of `data`."""
        rest = memoryview(data)
        while rest:
            sent = self._move(lambda left=rest: self._tls.write(left))  # type: ignore[misc]
            rest = rest[sent:]

    def read_into(self, buffer: memoryview) -> int:
        """Reads what has arrived into `buffer`; 0 at the end."""
        try:
            return self._move(lambda: cast(int, self._tls.read(len(buffer), buffer)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """Returns a reader; the connection stays open until the reader is closed, too."""
        self._users += 1
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Gives up one use of the connection."""
        self._users -= 1
        if self._users == 0:
            self._outer.close()

    def _move(self, act: Callable[[], _Result]) -> _Result:
        """Returns the result of one operation; moves records between it and the outer connection."""
        while True:
            try:
                result = act()
            except ssl.SSLWantReadError:
                self._flush()
                if block := self._outer.recv(_BLOCK):
                    self._received.write(block)
                else:
                    self._received.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if block := self._to_send.read():
            self._outer.sendall(block)


class _Reader(io.RawIOBase):
    def __init__(self, connection: NestedTls) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.read_into(memoryview(buffer).cast("B"))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._connection.close()
