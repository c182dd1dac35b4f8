"""HTTP server whose answers come a byte at a time, for longer than any test waits. In: a content type. Out:
its URL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDLESS = 120.0  # seconds; whoever waits for this to end has no deadline


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
                while not over.wait(0.02) and time.monotonic() - begun < ENDLESS:
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
