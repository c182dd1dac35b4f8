"""HTTP sessions that cannot reach the server's own network. In: whether they may. Out: a `requests` session
that connects to public addresses only.

The name is resolved here and the connection goes to the very address that was checked, so that a name with
different answers (DNS rebinding) gains nothing. Through an HTTP proxy of the environment, the proxy resolves
the name, and its rules apply.
"""

from __future__ import annotations

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from deployer.core.registry_hosts import is_inside


def addresses_of(host: str) -> list[str]:
    """Returns the addresses of a name; empty if it cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class InsideAddress(NewConnectionError):
    """A name resolves to this machine or into its own network."""


class _Outward(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        if self.proxy is not None:
            return super()._new_conn()
        named = self._dns_host
        found = addresses_of(named)
        outside = [address for address in found if not is_inside(address)]
        if found and not outside:
            raise InsideAddress(self, f"{named} leads inside")
        try:
            self._dns_host = outside[0] if outside else named
            return super()._new_conn()
        finally:
            self._dns_host = named


class _OutwardTls(_Outward, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Outward


class _PoolTls(HTTPSConnectionPool):
    ConnectionCls = _OutwardTls


class _OutwardAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTls}


def open_session(*, inside: bool) -> requests.Session:
    """Opens a session; `inside` also permits this machine and its networks."""
    session = requests.Session()
    if not inside:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _OutwardAdapter())
    return session
