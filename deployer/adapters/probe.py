"""One question to one replica over its own address. Out: `ok`, what went wrong, or empty. Never waits long,
never retries.
"""

from __future__ import annotations

import http.client
import re
import socket
import time

from deployer.core.health import ANSWERED
from deployer.core.probe import HttpProbe

_TIMEOUT = 0.5  # seconds for a connection, and for the answer: however slowly it comes
_LONGEST_LINE = 1024
_STATUS = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})[ \r]")


def ask_http(address: str, probe: HttpProbe) -> str:
    """GET as the service's health check makes it; any answer below 400 is good."""
    connection = http.client.HTTPConnection(address, probe.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", probe.path, headers={"User-Agent": "deployer-gate", "Connection": "close"})
        line = _first_line(connection.sock, time.monotonic() + _TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()
    found = _STATUS.match(line)
    if found is None:
        return "no answer (not HTTP)"
    status = int(found[1])
    return ANSWERED if status < 400 else f"HTTP {status}"


def _first_line(connection: socket.socket, end: float) -> bytes:
    """`end` on the monotonic clock. Raises TimeoutError."""
    got = b""
    while b"\n" not in got and len(got) < _LONGEST_LINE:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(_LONGEST_LINE)
        if not piece:
            break
        got += piece
    return got


def ask_tcp(address: str, port: int) -> str:
    """Whether the port takes a connection."""
    try:
        socket.create_connection((address, port), timeout=_TIMEOUT).close()
    except OSError as error:
        return f"no answer ({type(error).__name__})"
    return ANSWERED
