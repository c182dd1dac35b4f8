"""Connections under a policy: permitted addresses, proxies, certificates, on real sockets with real TLS."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from deployer.io.http_client import Fault, HttpClient, ServerUnavailable, call
from deployer.io.http_connections import AddressRefused, ConnectionPolicy, environment_proxy, is_loopback
from testing.http_stub import Answer, Server
from testing.tls_server import TlsServer, answering_over_tls

LOGIN = "Basic " + base64.b64encode(b"me:pass word").decode()
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@dataclass
class Asked:
    """What a server was asked: target, and headers by name."""

    calls: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def serve(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        self.calls.append((target, headers))
        return Answer(200, b"served", {"Connection": "close"})


def to(address: str) -> ConnectionPolicy:
    return ConnectionPolicy(proxy_of=lambda url: "", address_of=lambda host: address)


# --- permitted addresses


def test_the_connection_goes_to_the_policys_address_and_the_request_names_the_host() -> None:
    asked = Asked()
    with Server(asked.serve) as server:
        port = server.host.partition(":")[2]
        with HttpClient(to("127.0.0.1")) as client:
            assert client.call("GET", f"http://far.example:{port}/a?b#c", headers={}).body == b"served"
    ((target, headers),) = asked.calls
    assert (target, headers["host"]) == ("/a?b", f"far.example:{port}")


def test_a_refusal_names_the_host_and_port_and_nothing_is_connected() -> None:
    def refuse(host: str) -> str:
        raise AddressRefused(host)

    asked = Asked()
    with (
        Server(asked.serve) as server,
        HttpClient(ConnectionPolicy(address_of=refuse)) as client,
        pytest.raises(AddressRefused) as caught,
    ):
        client.call("GET", server.url, headers={}, tries=3)
    assert (str(caught.value), asked.calls) == (server.host, [])


def test_each_new_connection_is_judged() -> None:
    hosts: list[str] = []

    def judge(host: str) -> str:
        hosts.append(host)
        return "127.0.0.1"

    with Server(Asked().serve) as server, HttpClient(ConnectionPolicy(address_of=judge)) as client:
        for name in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
            client.call("GET", f"http://{name}:{server.host.partition(':')[2]}/", headers={})
    assert hosts == ["127.0.0.2", "127.0.0.3", "127.0.0.2"]


# --- proxies


@contextmanager
def proxy(
    *, answer: bytes = b"", tls: ssl.SSLContext | None = None, to: int = 0
) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy for one tunnel to a local port: its host and port, and the heads of its requests."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with (
                suppress(OSError),
                tls.wrap_socket(connection, server_side=True) if tls else connection as client,
            ):
                heads.append(client.recv(65_536))
                client.sendall(answer or b"HTTP/1.1 200 Connection established\r\n\r\n")
                if to:
                    with socket.create_connection(("127.0.0.1", to)) as server:
                        thread = threading.Thread(target=_copy, args=(server, client), daemon=True)
                        thread.start()
                        _copy(client, server)
                        thread.join(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
        thread.join(5)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65_536):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)


def test_without_tls_the_proxy_gets_the_whole_url_and_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    with Server(asked.serve) as server:
        monkeypatch.setenv("http_proxy", f"http://me:pass%20word@{server.host}")
        assert call("GET", "http://far.example/a?b", headers={}).body == b"served"
    ((target, headers),) = asked.calls
    assert (target, headers["host"]) == ("http://far.example/a?b", "far.example")
    assert headers["proxy-authorization"] == LOGIN


@pytest.mark.parametrize("form", ["http://{}", "https://{}", "{}", "http://me:pass%20word@{}"])
def test_with_tls_the_proxy_is_asked_for_a_tunnel(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A scheme `https` in the environment is read as `http`: such a tunnel begins without TLS."""
    with proxy(answer=b"HTTP/1.1 403 Not you\r\n\r\n") as (host, heads):
        monkeypatch.setenv("https_proxy", form.format(host))
        with pytest.raises(ServerUnavailable, match="Tunnel connection failed: 403 Not you"):
            call("GET", "https://far.example/a", headers={"Authorization": "Bearer canary"}, timeout=5)
    (head,) = heads
    assert head.startswith(b"CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n")
    assert (LOGIN.encode() in head) == ("me:" in form) and b"canary" not in head


def test_a_proxy_that_is_no_address_is_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://[::1:3128")
    with pytest.raises(ServerUnavailable) as caught:
        HttpClient().call("GET", "https://registry.example/", headers={})
    assert caught.value.fault is Fault.PROXY


def test_a_proxy_that_is_not_there_is_the_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for address in (place, "socks5://127.0.0.1:1", "http://"):
            policy = ConnectionPolicy(proxy_of=lambda url, address=address: address)  # type: ignore[misc]
            with HttpClient(policy, timeout=5) as client, pytest.raises(ServerUnavailable) as caught:
                client.call("GET", "https://far.example/", headers={})
            assert caught.value.fault is Fault.PROXY


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://far.example/", "http://proxy:1"),
        ("https://far.example/", "http://proxy:2"),
        ("http://127.0.0.1:80/", ""),
        ("http://localhost/", ""),
        ("https://[::1]:5/", ""),
        ("https://inner.example/", ""),
        ("https://a.inner.example:8443/", ""),
    ],
)
def test_the_environment_names_proxies_and_exceptions(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:1")
    monkeypatch.setenv("https_proxy", "https://proxy:2")
    monkeypatch.setenv("no_proxy", "inner.example")
    assert environment_proxy(url) == expected


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.1.2.3", "[::1]:80"])
def test_loopback_is_known_by_its_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "127.evil.example", "localhost.example", "10.0.0.1", "[::2]"])
def test_anything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


# --- TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    with answering_over_tls(tmp_path_factory.mktemp("tls"), "far.example", answer) as running:
        yield running


def trusting(server: TlsServer, proxy: str = "") -> ConnectionPolicy:
    return ConnectionPolicy(
        proxy_of=lambda url: proxy,
        address_of=lambda host: "127.0.0.1",
        tls=lambda: ssl.create_default_context(cafile=str(server.root)),
    )


def test_a_certificate_of_a_trusted_authority_is_accepted(tls: TlsServer) -> None:
    with HttpClient(trusting(tls), timeout=5) as client:
        for _ in range(2):
            assert len(client.call("GET", f"https://far.example:{tls.port}/", headers={}).body) == 200_000


def test_a_certificate_of_another_authority_is_refused(tls: TlsServer) -> None:
    with HttpClient(to("127.0.0.1"), timeout=5) as client, pytest.raises(ServerUnavailable) as caught:
        client.call("GET", f"https://far.example:{tls.port}/", headers={})
    assert caught.value.fault is Fault.TLS


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_name_is_refused(tls: TlsServer, name: str) -> None:
    with HttpClient(trusting(tls), timeout=5) as client, pytest.raises(ServerUnavailable) as caught:
        client.call("GET", f"https://{name}:{tls.port}/", headers={})
    assert caught.value.fault is Fault.TLS


def test_a_tunnel_leads_to_the_server_and_its_certificate_is_checked(tls: TlsServer) -> None:
    with (
        proxy(to=tls.port) as (host, heads),
        HttpClient(trusting(tls, f"http://{host}"), timeout=5) as client,
    ):
        for _ in range(2):
            assert client.call("GET", "https://far.example/", headers={}).status == 200
    assert len(heads) == 1
    with (
        proxy(to=tls.port) as (host, _),
        HttpClient(trusting(tls, f"http://{host}"), timeout=5) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.call("GET", "https://other.example/", headers={})
    assert caught.value.fault is Fault.TLS


@pytest.mark.parametrize("keep", [True, False])
def test_a_proxy_that_speaks_tls_tunnels_tls(
    tls: TlsServer, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """TLS to the server inside TLS to the proxy; both certificates are checked."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **o: real("127.0.0.1" if host == "far.example" else host, *a, **o),
    )
    with proxy(tls=tls.context, to=tls.port) as (host, heads):
        port = host.partition(":")[2]
        policy = trusting(tls, f"https://far.example:{port}")
        with HttpClient(policy, timeout=5, keep=keep) as client:
            assert len(client.call("GET", "https://far.example/", headers={}).body) == 200_000
            if keep:
                assert len(client.call("GET", "https://far.example/", headers={}).body) == 200_000
    assert heads[0].startswith(b"CONNECT far.example:443 ")
    with (
        proxy(tls=tls.context, to=tls.port) as (host, heads),
        HttpClient(trusting(tls, f"https://{host}"), timeout=5) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.call("GET", "https://far.example/", headers={})
    assert (caught.value.fault, heads) == (Fault.PROXY, [])
