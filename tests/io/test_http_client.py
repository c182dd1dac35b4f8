"""The HTTP client against real servers: kept connections, packed bodies, and answers without an end."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from deployer.io.http_client import Fault, HttpClient, ServerUnavailable, call, redirect_target
from testing.dripping_server import ENDLESS, dripping
from testing.http_stub import Answer, Server

PACKED = gzip.compress(b"content " * 1_000, mtime=0)


def test_a_body_that_drips_ends_in_time() -> None:
    with dripping("application/json") as url:
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match="takes too long"):
            call("GET", url, headers={}, timeout=0.5)
        assert time.monotonic() - begun < ENDLESS / 2


@contextmanager
def talking(*turns: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that gives each connection its turn; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for turn in turns:
                connection, _ = listener.accept()
                with connection:
                    turn(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def answering(*answers: bytes, wait: float = 0.0) -> Callable[[socket.socket], None]:
    """Answers one request after the other, then closes."""

    def turn(connection: socket.socket) -> None:
        for answer in answers:
            assert connection.recv(65_536)
            connection.sendall(answer)
        time.sleep(wait)

    return turn


def whole(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def test_a_connection_is_kept_and_replaced_when_the_server_closed_it() -> None:
    """Three answers on two connections: the server closes the first one after two."""
    with (
        talking(answering(whole(b"1"), whole(b"2")), answering(whole(b"3"))) as url,
        HttpClient(timeout=5) as client,
    ):
        bodies = [client.call("GET", url, headers={}).body for _ in range(2)]
        time.sleep(0.2)  # the close itself has to arrive
        assert [*bodies, client.call("GET", url, headers={}).body] == [b"1", b"2", b"3"]


def test_a_connection_with_an_unread_rest_is_not_used_again() -> None:
    with (
        talking(answering(whole(b"x" * 100)), answering(whole(b"2"))) as url,
        HttpClient(timeout=5) as client,
    ):
        assert client.call("GET", url, headers={}, most=10).body == b"x" * 10
        assert client.call("GET", url, headers={}).body == b"2"


def test_a_single_call_asks_the_server_to_close() -> None:
    seen: list[str] = []

    def serve(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        seen.append(headers["connection"])
        return Answer(200)

    with Server(serve) as server:
        call("GET", server.url, headers={})
        with HttpClient() as client:
            client.call("GET", server.url, headers={})
    assert seen == ["close", "keep-alive"]


@pytest.mark.parametrize("packed", [PACKED, zlib.compress(b"content " * 1_000)], ids=["gzip", "zlib"])
def test_a_packed_body_is_unpacked_where_it_was_asked_for(packed: bytes) -> None:
    answer = whole(packed, "Content-Encoding: gzip")
    with (
        talking(answering(answer, answer)) as url,
        HttpClient(timeout=5, unpack=True) as client,
    ):
        for _ in range(2):
            assert client.call("GET", url, headers={}).body == b"content " * 1_000
    with talking(answering(answer)) as url:
        assert call("GET", url, headers={}).body == packed


def test_a_head_without_a_body_needs_no_unpacking() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Encoding: gzip\r\n\r\n"
    with talking(answering(head)) as url, HttpClient(timeout=5, unpack=True) as client:
        assert client.call("HEAD", url, headers={}).body == b""


def test_a_small_body_that_unpacks_to_a_large_one_is_cut_off() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    with (
        talking(answering(whole(bomb, "Content-Encoding: gzip"))) as url,
        HttpClient(timeout=30, unpack=True) as client,
    ):
        assert len(client.call("GET", url, headers={}, most=1_000_000).body) == 1_000_000


@pytest.mark.parametrize("body", [PACKED[:-20], PACKED[:5], b"plain"], ids=["cut", "begun", "plain"])
def test_a_packed_body_that_is_damaged_is_a_failure(body: bytes) -> None:
    with (
        talking(answering(whole(body, "Content-Encoding: gzip"))) as url,
        HttpClient(timeout=5, unpack=True) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.call("GET", url, headers={})
    assert caught.value.fault is Fault.ENCODING


def test_a_packed_body_whose_header_never_ends_ends_in_time() -> None:
    """gzip's header may hold a name of any length, so bytes arrive and none come out."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        connection.sendall(b"\x1f\x8b\x08\x08" + b"\0" * 6)
        begun = time.monotonic()
        try:
            while not over.wait(0.02) and time.monotonic() - begun < ENDLESS:
                connection.sendall(b"x")
        except OSError:
            return

    with talking(drip) as url, HttpClient(timeout=0.5, unpack=True) as client:
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable) as caught:
            client.call("GET", url, headers={})
        over.set()
    assert caught.value.fault is Fault.SLOW and time.monotonic() - begun < ENDLESS / 2


@pytest.mark.parametrize(
    ("turn", "fault"),
    [
        (answering(b"no HTTP\r\n\r\n"), Fault.CONNECTION),
        (answering(b""), Fault.CONNECTION),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), Fault.BODY),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), Fault.BODY),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", wait=2), Fault.BODY_TIMEOUT),
        (answering(b"", wait=2), Fault.READ_TIMEOUT),
    ],
)
def test_each_failure_has_its_kind(turn: Callable[[socket.socket], None], fault: Fault) -> None:
    with talking(turn) as url, pytest.raises(ServerUnavailable) as caught:
        call("GET", url, headers={}, timeout=0.5)
    assert caught.value.fault is fault
    assert str(caught.value).startswith(f"{url.removeprefix('http://')} does not answer: ")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "https:///x",
        "http://[::1",
        "http://h:99999/",
        "https://a b/token",
        "https://a\x0bb/token",
        "x",
    ],
)
def test_anything_but_an_http_address_is_asked_nothing(url: str) -> None:
    with pytest.raises(ServerUnavailable, match="is not an HTTP address") as caught:
        call("GET", url, headers={})
    assert caught.value.fault is Fault.URL


def test_a_login_that_fits_no_header_stays_out_of_the_message() -> None:
    with talking() as url, pytest.raises(ServerUnavailable) as caught:
        call("GET", url, headers={"Authorization": "Bearer canary\r\nX: y"})
    assert "canary" not in caught.value.diagnostics() and caught.value.fault is Fault.REQUEST


def test_the_values_of_a_repeated_header_are_joined() -> None:
    with talking(answering(whole(b"", "X-Kind: a", "x-kind: b"))) as url:
        assert call("GET", url, headers={}, timeout=5).headers["x-kind"] == "a, b"


@pytest.mark.parametrize(
    ("status", "where", "target"),
    [
        (302, "/b", "http://h/b"),
        (307, "https://o/x y?q=a b", "https://o/x%20y?q=a%20b"),
        (301, "/caf\xc3\xa9", "http://h/caf%C3%A9"),
        (308, "//o/x", "http://o/x"),
        (200, "/b", ""),
        (304, "/b", ""),
        (302, None, ""),
    ],
)
def test_a_redirects_address_is_read_as_a_browser_does(status: int, where: str | None, target: str) -> None:
    assert redirect_target(status, where, "http://h/a") == target
