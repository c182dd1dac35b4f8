"""Unsigned bodies of 64 MB. In: address, kind, number. Out: the status of each answer, 0 for a connection
that was cut before.
"""

from __future__ import annotations

import contextlib
import socket

KNOWN, CHUNKED = "with Content-Length", "chunked"
_BYTES = 64_000_000
_PIECE = 64_000
_TIMEOUT = 30.0


def flood(port: int, path: str, kind: str, count: int) -> list[int]:
    """Sends them one after another, each on its own connection."""
    return [_one(port, path, kind) for _ in range(count)]


def _one(port: int, path: str, kind: str) -> int:
    length = f"Content-Length: {_BYTES}" if kind == KNOWN else "Transfer-Encoding: chunked"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: push\r\nX-GitHub-Delivery: unsigned\r\n{length}\r\n\r\n"
    )
    piece = b" " * _PIECE
    if kind == CHUNKED:
        piece = f"{_PIECE:x}\r\n".encode() + piece + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head.encode())
            for _ in range(_BYTES // _PIECE):
                connection.sendall(piece)
            if kind == CHUNKED:
                connection.sendall(b"0\r\n\r\n")
        return _answer(connection)


def _answer(connection: socket.socket) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(connection.recv(4096).split(b" ", 2)[1])
    return 0
