"""One question to one replica, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from deployer.adapters.probes.single_request import ask_http, ask_tcp
from deployer.core.compose.health_check import HttpProbe
from deployer.core.rollout.readiness import ANSWERED
from testing.http_stub import Answer, Server

HERE = "127.0.0.1"


@contextmanager
def speaking(act: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does `act` with its one connection; gives its port."""
    with socket.create_server((HERE, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # nobody came, or left before it was over
                connection, _ = listener.accept()
                with connection:
                    act(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, ANSWERED), (204, ANSWERED), (302, ANSWERED), (404, "HTTP 404"), (503, "HTTP 503")],
)
def test_an_answer_below_400_is_good(status: int, answer: str) -> None:
    seen: list[tuple[str, str, str, str]] = []

    def serve(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        seen.append((method, target, headers["user-agent"], headers["host"]))
        return Answer(status)

    with Server(serve) as server:
        port = int(server.host.partition(":")[2])
        assert ask_http(HERE, HttpProbe(port, "/health?deep=1")) == answer
    assert seen == [("GET", "/health?deep=1", "deployer-gate", f"localhost:{port}")]


def test_nobody_listening_is_no_answer() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    assert ask_http(HERE, HttpProbe(port, "/")) == "no answer (ConnectionRefusedError)"
    assert ask_tcp(HERE, port) == "no answer (ConnectionRefusedError)"


def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    over, begun = threading.Event(), time.monotonic()

    def act(connection: socket.socket) -> None:
        over.wait(30)

    with speaking(act) as port:
        assert ask_http(HERE, HttpProbe(port, "/")).startswith("no answer (")
    over.set()
    assert time.monotonic() - begun < 10


def test_an_answer_that_trickles_is_not_waited_for_long() -> None:
    over = threading.Event()

    def act(connection: socket.socket) -> None:
        for letter in b"HTTP/1.1 200 OK" * 20:
            if over.wait(0.1):
                return
            connection.sendall(bytes([letter]))

    begun = time.monotonic()
    with speaking(act) as port:
        assert ask_http(HERE, HttpProbe(port, "/")) == "no answer (TimeoutError)"
    over.set()
    assert time.monotonic() - begun < 10, "thirty seconds of letters"


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_no_answer(words: bytes) -> None:
    def act(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(words)

    with speaking(act) as port:
        assert ask_http(HERE, HttpProbe(port, "/")).startswith("no answer (")


def test_a_path_that_cannot_be_asked_for_is_no_answer() -> None:
    with speaking(lambda connection: None) as port:
        assert ask_http(HERE, HttpProbe(port, "/a b\r\nX: y")) == "no answer (InvalidURL)"


def test_an_open_port_answers() -> None:
    with socket.create_server((HERE, 0)) as listener:
        assert ask_tcp(HERE, listener.getsockname()[1]) == ANSWERED
