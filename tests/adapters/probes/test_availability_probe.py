"""Knocking at real sockets of this machine."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.probes.availability_probe import AvailabilityProbe, is_here
from deployer.core.compose.endpoints import Budget, Endpoint
from deployer.core.rollout.availability import Sample
from testing.docker.docker_cli import free_port, wait_for

Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Gives each connection to `serve`, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def answering(text: bytes, seen: list[bytes] | None = None) -> Serve:
    def serve(connection: socket.socket) -> None:
        with connection:
            got = connection.recv(4096)
            if seen is not None:
                seen.append(got)
            connection.sendall(text)

    return serve


def hang_up(connection: socket.socket) -> None:
    connection.close()


def say_nothing(connection: socket.socket) -> None:
    time.sleep(5)
    connection.close()


def probe(port: int, *, http: bool, until: int = 3, host: str = "127.0.0.1") -> list[Sample]:
    endpoint = Endpoint("web", host, port, http, "/health", Budget())
    watch = AvailabilityProbe([endpoint]).start()
    try:
        wait_for("requests", lambda: len(watch.samples()[endpoint]) >= until, 10)
    finally:
        watch.stop()
    return list(watch.samples()[endpoint])


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"HTTP/1.1\r\n", False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 no\r\n\r\n", False),
        (b"x" * 40_000, False),
    ],
)
def test_an_http_answer_is_good_unless_the_server_failed(text: bytes, good: bool) -> None:
    seen: list[bytes] = []
    with server(answering(text, seen)) as port:
        found = probe(port, http=True)
    assert {sample.good for sample in found} == {good}
    assert seen[0].startswith(b"GET /health HTTP/1.1\r\n") and b"Connection: close\r\n" in seen[0]


def test_a_closed_port_is_a_lost_request() -> None:
    assert not any(sample.good for sample in probe(free_port(), http=True))


def test_an_answer_that_does_not_come_is_lost_after_two_seconds() -> None:
    with server(say_nothing) as port:
        first = probe(port, http=True, until=1)[0]
    assert not first.good and 2.0 <= first.took < 20


def test_a_door_that_does_not_answer_holds_a_bounded_number_of_requests() -> None:
    open_now = most = 0
    lock = threading.Lock()

    def hold(connection: socket.socket) -> None:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        connection.recv(4096)
        while connection.recv(4096):  # until the other side has had enough
            pass
        with lock:
            open_now -= 1

    with server(hold) as port:
        found = probe(port, http=True, until=60)
    assert not any(sample.good for sample in found)
    assert 10 <= most <= 60, "fifty wait at most, and what was given up may still be on its way"


def test_a_tcp_server_that_waits_is_there_and_one_that_hangs_up_is_not() -> None:
    with server(say_nothing) as port:
        found = probe(port, http=False)
    assert all(sample.good for sample in found)
    assert min(sample.took for sample in found) < 0.09, "the wait for a word counted as the answer's time"
    with server(answering(b"220 mail\r\n")) as port:
        assert all(sample.good for sample in probe(port, http=False))
    with server(hang_up) as port:
        assert not any(sample.good for sample in probe(port, http=False))


def test_a_request_goes_out_about_every_20_ms_to_each_door() -> None:
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        starts = [sample.at for sample in probe(port, http=True, until=40)]
    assert 0.018 <= (starts[-1] - starts[0]) / (len(starts) - 1) < 0.05


def test_of_many_doors_only_those_with_a_budget_are_asked_every_20_ms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployer.adapters.probes.availability_probe._MOST_A_SECOND", 100.0)
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        bound = Endpoint("bound", "127.0.0.1", port, True, "/", Budget(max_gap_ms=100.0))
        others = [Endpoint(f"free-{n}", "127.0.0.1", port, True, "/", Budget()) for n in range(10)]
        watch = AvailabilityProbe([bound, *others]).start()
        try:
            wait_for("requests", lambda: len(watch.samples()[bound]) >= 50, 10)
        finally:
            watch.stop()
    found = watch.samples()
    assert all(8 <= len(found[endpoint]) <= 13 for endpoint in others), {
        d.service: len(found[d]) for d in found
    }


@pytest.mark.parametrize(("http", "end"), [(True, "reset"), (False, "hung up")])
def test_only_after_an_http_answer_the_connection_is_reset(http: bool, end: str) -> None:
    ends: list[str] = []

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while connection.recv(4096):
                pass
            ends.append("hung up")
        except ConnectionResetError:
            ends.append("reset")

    with server(serve) as port:
        assert all(sample.good for sample in probe(port, http=http))
        wait_for("their ends", lambda: len(ends) >= 3, 10)
    assert set(ends) == {end}


def test_after_its_stop_nobody_knocks() -> None:
    seen: list[bytes] = []
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as port:
        probe(port, http=True)
        wait_for("the knocker's end", lambda: not _probers(), 5)
        told = len(seen)
        time.sleep(0.1)  # five requests' time
        assert len(seen) <= told + 1


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _probers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "knocker"]


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",  # of a documentation network, so nobody's
        "8.8.8.8",
        "169.254.169.254",
        "2001:db8::1",
        "224.0.0.1",
        "::ffff:127.0.0.1",
        "0:0::0",
        "0.0.0.0",
        "::1%lo",
        "0177.0.0.1",
        "localhost",
        "",
    ],
)
def test_only_addresses_of_this_machine_as_they_are_judged_are_asked(host: str) -> None:
    assert not is_here(host) and is_here("127.0.0.1") and is_here("127.0.0.9")
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        away, near = (Endpoint("web", at, port, True, "/", Budget()) for at in (host, "127.0.0.1"))
        watch = AvailabilityProbe([away, near]).start()
        try:
            wait_for("requests", lambda: len(watch.samples()[near]) >= 3, 10)
        finally:
            watch.stop()
    assert watch.samples()[away] == ()


def test_a_thousand_doors_take_no_more_connections_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.adapters.probes.availability_probe._MOST_OPEN", 30)
    with server(say_nothing) as port:
        endpoints = [
            Endpoint(f"s{n}", "127.0.0.1", port, True, "/", Budget(max_failed=0)) for n in range(1000)
        ]
        before = _descriptors()
        watch = AvailabilityProbe(endpoints).start()
        try:
            most = 0
            end = time.monotonic() + 10
            while sum(map(len, watch.samples().values())) < 30 and time.monotonic() < end:
                most = max(most, len(watch._open))
                time.sleep(0.005)
        finally:
            watch.stop()
        assert most == 30
        wait_for("the knocker's end", lambda: not _probers(), 5)
    assert not watch._open
    wait_for("closed sockets", lambda: _descriptors() <= before, 10)


def test_an_error_at_one_door_is_an_unanswered_request_and_ends_nothing() -> None:
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        wrong = Endpoint("wrong", "127.0.0.1", 70_000, True, "/", Budget(max_failed=0))
        near = Endpoint("web", "127.0.0.1", port, True, "/", Budget(max_failed=0))
        watch = AvailabilityProbe([wrong, near]).start()
        try:
            wait_for("requests", lambda: len(watch.samples()[near]) >= 5, 10)
        finally:
            watch.stop()
    assert watch.samples()[wrong] and not any(sample.good for sample in watch.samples()[wrong])
    assert any(sample.good for sample in watch.samples()[near])


def test_without_a_descriptor_left_requests_are_unanswered_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = threading.Event()
    out.set()
    make = socket.socket

    def scarce(*given: Any, **named: Any) -> socket.socket:
        if out.is_set() and threading.current_thread().name == "knocker":
            raise OSError(errno.EMFILE, "Too many open files")
        return make(*given, **named)

    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        endpoint = Endpoint("web", "127.0.0.1", port, True, "/", Budget(max_failed=0))
        watch = AvailabilityProbe([endpoint])
        monkeypatch.setattr("deployer.adapters.probes.availability_probe.socket.socket", scarce)
        watch.start()
        try:
            wait_for("requests", lambda: len(watch.samples()[endpoint]) >= 3, 10)
            assert not any(sample.good for sample in watch.samples()[endpoint])
            out.clear()
            wait_for("answers", lambda: any(sample.good for sample in watch.samples()[endpoint]), 10)
        finally:
            watch.stop()
            wait_for("the knocker's end", lambda: not _probers(), 5)


def test_a_bug_closes_every_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(say_nothing) as port:
        endpoint = Endpoint("web", "127.0.0.1", port, True, "/", Budget(max_failed=0))
        watch = AvailabilityProbe([endpoint])
        attend = watch._attend

        def breaks(wait: float) -> None:
            attend(wait)
            if len(watch._open) >= 3:
                raise LookupError("a bug")

        monkeypatch.setattr(watch, "_attend", breaks)
        monkeypatch.setattr(threading, "excepthook", lambda _: None)
        watch.start()
        wait_for("the knocker's end", lambda: not _probers(), 10)
    assert not watch._open
