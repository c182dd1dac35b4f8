"""The policy for registries: addresses are looked up and judged once; proxies and certificates are those of
`requests`.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.registry.connection_policy import open_client
from deployer.io.http_client import Fault, ServerUnavailable
from deployer.io.http_connections import AddressRefused
from testing.tls_server import answering_over_tls

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Name → the addresses that a hostile name server gives, one after the other; empty for no answer."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in known:
            return real(host, *arguments, **options)
        if not (address := known[host].pop(0)):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(address, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.mark.case("X08")
def test_a_name_that_is_unknown_at_first_is_not_looked_up_again(lookups: dict[str, list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lookups["rebinding.example"] = ["", "127.0.0.1"]
        url = f"https://rebinding.example:{listener.getsockname()[1]}/"
        with (
            open_client(inside=False, environment=True, timeout=2) as client,
            pytest.raises(ServerUnavailable) as caught,
        ):
            client.call("GET", url, headers={})
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert caught.value.fault is Fault.CONNECTION and lookups["rebinding.example"] == ["127.0.0.1"]


@pytest.mark.case("X08")
def test_a_name_with_another_address_the_second_time_gains_nothing(lookups: dict[str, list[str]]) -> None:
    lookups["rebinding.example"] = ["10.0.0.1", "127.0.0.1"]
    with (
        open_client(inside=False, environment=True, timeout=2) as client,
        pytest.raises(AddressRefused, match=r"^rebinding\.example:5000$"),
    ):
        client.call("GET", "https://rebinding.example:5000/", headers={})
    assert lookups["rebinding.example"] == ["127.0.0.1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with TLS for the name `localhost`: its URL and its authority's certificate."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with answering_over_tls(tmp_path_factory.mktemp("tls"), "localhost", answer) as running:
        yield f"https://localhost:{running.port}/", running.root


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_authority_that_the_environment_names_is_trusted(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, kind: str
) -> None:
    url, root = server
    bundle = root
    if kind == "folder":
        bundle = tmp_path / "certificates"
        bundle.mkdir()
        (bundle / f"{_subject_hash(root)}.0").write_bytes(root.read_bytes())
    monkeypatch.setenv(variable, str(bundle))
    with open_client(inside=True, environment=True, timeout=5) as client:
        assert client.call("GET", url, headers={}).status == 200


def _subject_hash(certificate: Path) -> str:
    words = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("bundle", "environment", "fault"),
    [(None, True, Fault.TLS), ("root", False, Fault.TLS), ("missing", True, Fault.CONNECTION)],
)
def test_no_other_authority_is_trusted(
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    bundle: str | None,
    environment: bool,
    fault: Fault,
) -> None:
    url, root = server
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root if bundle == "root" else "/no/such/file"))
    with (
        open_client(inside=True, environment=environment, timeout=5) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.call("GET", url, headers={})
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("variables", "environment", "asked"),
    [
        ({"HTTPS_PROXY": "http://{}"}, True, True),
        ({"https_proxy": "{}"}, True, True),
        ({"ALL_PROXY": "http://{}"}, True, True),
        ({"HTTPS_PROXY": "http://{}"}, False, False),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "10.9.0.0/16"}, True, False),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "10.9.8.7"}, True, False),
        ({"HTTPS_PROXY": "http://{}", "NO_PROXY": "10.8.0.0/16"}, True, True),
    ],
)
def test_proxies_of_the_environment_are_those_of_requests(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], environment: bool, asked: bool
) -> None:
    """A direct connection to that address would be refused, a proxy has its own rules."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(f"127.0.0.1:{proxy.getsockname()[1]}"))
        with (
            open_client(inside=False, environment=environment, timeout=0.5) as client,
            pytest.raises(ServerUnavailable if asked else AddressRefused),
        ):
            client.call("GET", "https://10.9.8.7:5000/", headers={})
        proxy.settimeout(0.2)
        if asked:
            connection, _ = proxy.accept()
            with connection:
                assert connection.recv(4096).startswith(b"CONNECT 10.9.8.7:5000 ")
        else:
            with pytest.raises(TimeoutError):
                proxy.accept()
