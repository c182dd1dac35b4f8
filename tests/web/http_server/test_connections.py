"""Slow, silent and deaf clients, on real sockets: each gives its place back, and nobody else notices."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from waitress.server import create_server

from deployer.web.http_server.connections import Patience, connection_limit, keep_in_bounds
from deployer.web.http_server.thread_pool import Threads
from testing.docker.docker_cli import wait_for

ANSWER = b"x" * 8_000_000  # more than the buffers between server and client hold


@contextmanager
def serving(app: Callable[..., Any], limit: int = 100, **patience: float) -> Iterator[tuple[int, Threads]]:
    threads = Threads(4)
    server = create_server(
        app,
        host="127.0.0.1",
        port=0,
        _dispatcher=threads,
        cleanup_interval=0.1,
        asyncore_use_poll=True,
        asyncore_loop_timeout=0.1,
        connection_limit=limit,
        outbuf_high_watermark=262_144,
    )
    keep_in_bounds(server, Patience(**patience))
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    yield server.effective_port, threads
    threads.shutdown(timeout=5)
    server.close()
    running.join(5)


def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "text/plain")])
    return [ANSWER] if environ["PATH_INFO"] == "/large" else [body]


def ask(port: int, path: str = "/", body: bytes = b"honest") -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=40)) as connection:
        connection.request("POST", path, body)
        return connection.getresponse().read()


def ended(connection: socket.socket, within: float) -> bool:
    """Whether the server closes it; what it sent before is passed over."""
    connection.settimeout(within)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST / HTTP/1.1\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc"],
    ids=["nothing", "headers", "body"],
)
@pytest.mark.case("F01")
def test_a_request_that_is_never_whole_ends_although_it_never_rests(begun: bytes) -> None:
    with (
        serving(app, request=0.6) as (port, _),
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(begun)
        started = time.monotonic()
        while not ended(slow, 0.1):
            assert time.monotonic() - started < 40, "a trickle keeps the connection"
            with contextlib.suppress(OSError):  # it may end between the two
                slow.sendall(b"x" if begun else b"")
        assert time.monotonic() - started > 0.5
        assert ask(port) == b"honest"


def test_a_connection_that_is_used_again_has_its_time_for_each_request() -> None:
    with (
        serving(app, request=1.0) as (port, _),
        closing(http.client.HTTPConnection("127.0.0.1", port)) as connection,
    ):
        for _ in range(4):
            connection.request("POST", "/", b"again")
            assert connection.getresponse().read() == b"again"
            time.sleep(0.4)  # together longer than one request may take


@pytest.mark.case("F01")
def test_who_does_not_read_an_answer_holds_no_thread() -> None:
    begun: list[str] = []

    def counting(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        begun.append(environ["PATH_INFO"])
        return app(environ, start)

    with serving(counting, reading=0.5) as (port, _), ExitStack() as stack:
        for _ in range(4):  # as many as there are threads
            deaf = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            deaf.sendall(b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_for("the start of four answers that nobody reads", lambda: begun.count("/large") == 4)
        assert ask(port) == b"honest", "held for good, this would end in a time-out"


def test_who_reads_slowly_but_steadily_gets_all_of_it() -> None:
    with (
        serving(app, reading=0.5) as (port, _),
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(b"POST /large HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        got, begun = 0, time.monotonic()
        while piece := slow.recv(200_000):
            got += len(piece)
            time.sleep(0.02)
        assert got > len(ANSWER) and time.monotonic() - begun > 0.7


@pytest.mark.case("F02")
def test_when_places_run_out_those_who_wait_longest_make_room() -> None:
    with serving(app, limit=60) as (port, _), ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(200)]
        wait_for("an honest answer", lambda: is_answered(port), 20)
        assert ended(crowd[0], 20), "the oldest made room"


def is_answered(port: int) -> bool:
    """Whether a client that asks again after a reset, as clients do, is served."""
    with contextlib.suppress(ConnectionError):
        return ask(port) == b"honest"
    return False


def test_as_many_connections_as_the_system_allows_descriptors_for() -> None:
    assert 64 <= connection_limit() <= 2000
