"""An HTTP server on 127.0.0.1 around one function. In: requests. Out: the function's answers.

Every stand-in for an HTTP service builds on it. It knows nothing about the service.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class Answer:
    """One answer: any JSON value, or raw bytes."""

    status: int
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


Serve = Callable[[str, str, Mapping[str, str], bytes], Answer]  # method, target, headers in lower case, body


class Server:
    """Listens from its creation on, answers from `start` to `stop`."""

    def __init__(self, serve: Serve, port: int = 0) -> None:
        self._http = _Http(("127.0.0.1", port), serve)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> Server:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a call that hangs must not keep a test from ending

    def __init__(self, address: tuple[str, int], serve: Serve) -> None:
        super().__init__(address, _Exchange)
        self.serve = serve


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # without it every answer takes 40 ms
    server: _Http

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: stand-ins keep their own record, and the terminal belongs to the test."""

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.serve(
            self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, raw
        )
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        try:
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)
        except ConnectionError:
            self.close_connection = True  # the caller had closed a call that hung

    do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = _answer
