"""One question to one replica over its own address. Out: `ok`, what went wrong, or empty. Never waits long,
never retries.
"""

from __future__ import annotations

import http.client
import socket

from deployer.core.health import ANSWERED
from deployer.core.probe import HttpProbe

_TIMEOUT = 0.5


def ask_http(address: str, probe: HttpProbe) -> str:
    """GET as the service's health check makes it; any answer below 400 is good."""
    connection = http.client.HTTPConnection(address, probe.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", probe.path, headers={"User-Agent": "deployer-gate", "Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()
    return ANSWERED if status < 400 else f"HTTP {status}"


def ask_tcp(address: str, port: int) -> str:
    """Whether the port takes a connection."""
    try:
        socket.create_connection((address, port), timeout=_TIMEOUT).close()
    except OSError as error:
        return f"no answer ({type(error).__name__})"
    return ANSWERED
