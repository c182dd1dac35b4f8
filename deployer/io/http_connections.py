"""Connections to HTTP servers. In: scheme, host and port, and a policy: the proxy, the permitted address, the
trusted certificates. Out: an open connection, or the error with the stage that failed.

The address that the policy gives is the one that is connected to: it is not looked up again. Through a proxy,
the proxy looks the name up, and its rules apply.
"""

from __future__ import annotations

import base64
import http.client
import re
import select
import socket
import ssl
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from deployer.io.nested_tls import NestedTls

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")


def is_loopback(host: str) -> bool:
    """True if `host`, perhaps with a port, is this machine."""
    return _LOOPBACK.fullmatch(urlsplit(f"//{host}").hostname or "") is not None


def environment_proxy(url: str) -> str:
    """Returns the proxy of the environment for `url`, empty for none. A proxy cannot reach this machine's own
    loopback.
    """
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or urllib.request.proxy_bypass(parts.netloc):
        return ""
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    # A tunnel to a server with TLS begins without TLS, as in urllib.
    return re.sub(r"^https:", "http:", proxy) if parts.scheme == "https" else proxy


def standard_tls() -> ssl.SSLContext:
    """Returns TLS that trusts the system's certificates."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class AddressRefused(Exception):
    """The policy refuses to connect to a server; the text is the server's host."""


@dataclass(frozen=True)
class ConnectionPolicy:
    """Policy of connections: URL → proxy, host → address to connect to, trusted certificates. `address_of`
    refuses a host by AddressRefused.
    """

    proxy_of: Callable[[str], str] = environment_proxy
    address_of: Callable[[str], str] = str
    tls: Callable[[], ssl.SSLContext] = standard_tls


class Stage(StrEnum):
    """Stage of a connection that an error belongs to."""

    PROXY = "proxy"
    CONNECT = "connect"
    EXCHANGE = "exchange"


class Connection(http.client.HTTPConnection):
    """Connection to one origin, through a proxy if the policy names one."""

    def __init__(self, url: SplitResult, policy: ConnectionPolicy, timeout: float) -> None:
        self.default_port = _PORTS[url.scheme]
        super().__init__(url.hostname or "", url.port or self.default_port, timeout=timeout)
        self.stage = Stage.CONNECT
        self._scheme = url.scheme
        self._policy = policy
        self._proxy = _proxy_parts(policy.proxy_of(url.geturl()))

    def target(self, url: SplitResult) -> str:
        """Returns the request's target: a proxy needs the whole URL if there is no tunnel."""
        path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        return f"http://{url.netloc}{path}" if self._is_forwarded() else path

    def proxy_headers(self) -> dict[str, str]:
        """Returns the proxy's login for a request that has no tunnel."""
        return _proxy_login(self._proxy) if self._is_forwarded() and self._proxy else {}

    def is_dropped(self) -> bool:
        """True if the server has closed the idle connection."""
        if self.sock is None:
            return True
        waiting = select.poll()
        waiting.register(self.sock, select.POLLIN)
        return bool(waiting.poll(0))

    def connect(self) -> None:
        """Opens the connection. Raises OSError, HTTPException, or the refusal of the policy; `stage` tells
        which stage failed.
        """
        self.sock = self._to_proxy(self._proxy) if self._proxy else self._direct()
        self.stage = Stage.EXCHANGE
        if self._scheme == "https":
            if self._proxy:
                self._tunnel_through(self._proxy)
            self.sock = _wrap(self.sock, self._policy.tls(), self.host)

    def _is_forwarded(self) -> bool:
        return self._proxy is not None and self._scheme == "http"

    def _direct(self) -> socket.socket:
        return _open(self._policy.address_of(self.host), self.port, self.timeout)

    def _to_proxy(self, proxy: SplitResult) -> socket.socket:
        self.stage = Stage.PROXY
        if proxy.scheme not in _PORTS or not proxy.hostname:
            raise OSError(f"the proxy's scheme {proxy.scheme!r} is not supported")
        opened = _open(proxy.hostname, proxy.port or _PORTS[proxy.scheme], self.timeout)
        return _wrap(opened, self._policy.tls(), proxy.hostname) if proxy.scheme == "https" else opened

    def _tunnel_through(self, proxy: SplitResult) -> None:
        """Demands a tunnel to the server, in which TLS begins."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"CONNECT {host}:{self.port} HTTP/1.1", f"Host: {host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in _proxy_login(proxy).items()]
        self.sock.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
        answer = http.client.HTTPResponse(self.sock, method="CONNECT")
        try:
            answer.begin()
            if answer.status != 200:
                raise OSError(f"Tunnel connection failed: {answer.status} {answer.reason.strip()}")
        finally:
            answer.close()


def _proxy_parts(proxy: str) -> SplitResult | None:
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None or proxy.password is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password)}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _open(address: str, port: int, timeout: float | None) -> socket.socket:
    opened = socket.create_connection((address, port), timeout)
    with suppress(OSError):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def _wrap(opened: socket.socket, context: ssl.SSLContext, host: str) -> Any:
    """Begins TLS and returns a socket, or as much of one as is used; closes the connection if TLS fails."""
    try:
        if isinstance(opened, ssl.SSLSocket):
            return NestedTls(opened, context, host)
        return context.wrap_socket(opened, server_hostname=host)
    except BaseException:
        opened.close()
        raise
