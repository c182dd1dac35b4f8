"""Single requests to a replica at its own address. In: an address, a port or an HTTP probe. Out: `ok`, the
fault, or empty. Never waits long, never retries.
"""

from __future__ import annotations

import http.client
import socket
import time

from deployer.core.compose.health_check import HttpProbe
from deployer.core.http.response_status import status_of
from deployer.core.rollout.readiness import ANSWERED, REFUSED

_TIMEOUT = 0.5  # seconds for the connection, and for the whole answer
_PIECE = 4096


def ask_http(address: str, probe: HttpProbe) -> str:
    """Sends a GET as the service's health check does; a status below 400 passes."""
    connection = http.client.HTTPConnection(address, probe.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", probe.path, headers=_headers(probe))
        status = _status(connection.sock, time.monotonic() + _TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()
    if not status:
        return "no answer (not HTTP)"
    return ANSWERED if status < 400 else f"{REFUSED} {status}"


def _headers(probe: HttpProbe) -> dict[str, str]:
    return {"Host": probe.authority, "User-Agent": "deployer-gate", "Connection": "close"}


def _status(connection: socket.socket, end: float) -> int:
    """Returns the answer's HTTP status, 0 if it is not HTTP; `end` on the monotonic clock. Raises
    TimeoutError.
    """
    got = b""
    while (status := status_of(got)) is None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(_PIECE)
        if not piece:
            return status_of(got, whole=True) or 0
        got += piece
    return status


def ask_tcp(address: str, port: int) -> str:
    """Opens a connection to the port; returns `ok` or the fault."""
    try:
        socket.create_connection((address, port), timeout=_TIMEOUT).close()
    except OSError as error:
        return f"no answer ({type(error).__name__})"
    return ANSWERED
