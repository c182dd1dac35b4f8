"""Policy for connections to registries. In: whether a registry may be inside. Out: an HTTP client that
connects to public addresses only.

The name is resolved here and the connection goes to the very address that was checked, so that a name with
different answers (DNS rebinding) gains nothing. Through an HTTP proxy of the environment, the proxy resolves
the name, and its rules apply. Proxies and certificates are those that `requests` would use, as for GitHub.
"""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from deployer.core.registry_hosts import is_inside
from deployer.io.http_client import HttpClient
from deployer.io.http_connections import AddressRefused, ConnectionPolicy

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def addresses_of(host: str) -> list[str]:
    """Returns the addresses of a name; empty if it cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def open_client(*, inside: bool, environment: bool, timeout: float) -> HttpClient:
    """Opens a client; `inside` also permits this machine and its networks, `environment` the proxies and
    certificates that the environment names.
    """
    bundles = [named for name in _BUNDLES if environment and (named := os.environ.get(name))]
    policy = ConnectionPolicy(
        proxy_of=_environment_proxy if environment else _no_proxy,
        address_of=str if inside else _outside_address,
        tls=lambda: _trust(bundles[0] if bundles else DEFAULT_CA_BUNDLE_PATH),
    )
    return HttpClient(policy, timeout=timeout, unpack=True)


def _outside_address(host: str) -> str:
    """Returns the first public address of a name. Raises AddressRefused if all its addresses are inside."""
    found = addresses_of(host)
    outside = [address for address in found if not is_inside(address)]
    if found and not outside:
        raise AddressRefused(host)
    if (
        not outside
    ):  # not even by the connection, which would ask once more and might hear of an address inside
        raise OSError(f"{host} cannot be resolved")
    return outside[0]


def _environment_proxy(url: str) -> str:
    return select_proxy(url, get_environ_proxies(url)) or ""


def _no_proxy(url: str) -> str:
    return ""


def _trust(bundle: str) -> ssl.SSLContext:
    """Returns TLS that trusts the certificates in a file or a folder."""
    is_folder = Path(bundle).is_dir()
    context = ssl.create_default_context(
        cafile=None if is_folder else bundle, capath=bundle if is_folder else None
    )
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context
