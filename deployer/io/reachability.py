"""Trace of the way to a server that does not answer. In: its origin. Out: the result of each stage (name,
connection, TLS), and the place to look at. Sends no request.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from deployer.io.http_connections import environment_proxy, standard_tls

_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}
_NAME = (
    "does the name in `server` exist in public DNS? A runner of GitHub's does not know names of your network"
)
_OPEN = (
    "is the port open in the firewall to the internet, and does the receiver run there? GitHub's runners have"
    " no fixed addresses; a runner of your own reaches a private network"
)
_TLS = "does the proxy in front serve a valid certificate for this name, and is the port one of HTTPS?"
_HTTP = (
    "the way is open, so look at the receiver itself: `docker logs deployer`, and the proxy in front of it"
)


@dataclass(frozen=True)
class Trace:
    """Results of the stages in one line, and the place to look at."""

    told: str
    hint: str


def trace(origin: str) -> Trace:
    """Returns the results up to the first stage that fails."""
    parts = urlsplit(origin)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if proxy := environment_proxy(origin):
        name = urlsplit(proxy).hostname or "?"
        return Trace(f"through the proxy {name}", f"may the proxy {name} connect to {host}:{port}?")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Trace(f"DNS of {host}: {_reason(error)}", _NAME)
    addresses = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
    told = f"DNS of {host}: {addresses}; TCP to port {port}: "
    try:
        connection = socket.create_connection((host, port), _SECONDS)
    except OSError as error:
        return Trace(told + _reason(error), _OPEN)
    with connection:
        if parts.scheme == "http":
            return Trace(f"{told}open", _HTTP)
        try:
            standard_tls().wrap_socket(connection, server_hostname=host).close()
        except OSError as error:
            return Trace(f"{told}open; TLS: {_reason(error)}", _TLS)
    return Trace(f"{told}open; TLS: well", _HTTP)


def _reason(error: OSError) -> str:
    return str(error.strerror or error or type(error).__name__)
