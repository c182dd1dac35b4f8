"""Answers that drip: a body or a line without an end. Each wait has one deadline for all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployer.ci.server.follow import DeploymentUnfinished, Followed, follow
from deployer.ci.server.url_check import verify
from deployer.ci.server.verify_inputs import Outside
from deployer.core.build.release_check import Demand, Sight
from deployer.io.http_client import ServerUnavailable, call

_ENDLESS = 120.0  # seconds; whoever waits for this to end has no deadline


@contextmanager
def dripping(kind: str) -> Iterator[str]:
    """A server whose answers come a byte at a time."""
    over = threading.Event()

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            begun = time.monotonic()
            with suppress(OSError):
                while not over.wait(0.02) and time.monotonic() - begun < _ENDLESS:
                    self.wfile.write(b"x")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_a_body_that_drips_ends_in_time() -> None:
    with dripping("application/json") as url:
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match="takes too long"):
            call("GET", url, headers={}, timeout=0.5)
        assert time.monotonic() - begun < _ENDLESS / 2


def test_a_story_without_a_line_ends_with_the_timeout() -> None:
    with dripping("text/event-stream") as url:
        begun = time.monotonic()
        with pytest.raises(DeploymentUnfinished):
            follow(Followed(url, url, "token", url), time.monotonic() + 1)
        assert time.monotonic() - begun < _ENDLESS / 2


def test_a_public_address_that_streams_for_ever_is_looked_at_for_as_long_as_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployer.ci.server.url_check._TIMEOUT", 0.5)
    with dripping("text/html") as url:
        begun = time.monotonic()
        seen = verify(Outside(url, 1, Demand.AUTO), "a" * 40, "")
        assert seen.sight is Sight.WRONG and "too long" in seen.reason
        assert time.monotonic() - begun < _ENDLESS / 2
