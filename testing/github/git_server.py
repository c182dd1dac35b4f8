"""A git server over HTTP, like GitHub's: the real `git http-backend` behind a check of the login.

In: a folder of bare repositories, the header that may read. Out: the requests, each with its login.
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


def login_of(token: str) -> str:
    """Returns the header by which a job's token logs in."""
    return f"Basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"


class GitServer:
    """Serves on 127.0.0.1; an empty `login` admits every client."""

    def __init__(self, folder: Path, login: str = "") -> None:
        server = self

        class Endpoint(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._serve(self, b"")

            def do_POST(self) -> None:
                server._serve(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.folder, self.login = folder, login
        self.logins: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, repository: str, tree: Path) -> None:
        """Publishes a work tree's repository under its name."""
        place = self.folder / repository
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tree)

    def start(self) -> None:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, endpoint: BaseHTTPRequestHandler, body: bytes) -> None:
        given = endpoint.headers.get("Authorization", "")
        self.logins.append(given)
        if self.login and given != self.login:
            _send(endpoint, 401, [("WWW-Authenticate", 'Basic realm="here"')], b"")
            return
        head, _, content = self._backend(endpoint, body).partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200")
        _send(endpoint, int(status.split()[0]), [(n, v) for n, v in headers if n != "Status"], content)

    def _backend(self, endpoint: BaseHTTPRequestHandler, body: bytes) -> bytes:
        asked = urlsplit(endpoint.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "REQUEST_METHOD": endpoint.command,
            "PATH_INFO": asked.path,
            "QUERY_STRING": asked.query,
            "CONTENT_TYPE": endpoint.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": endpoint.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": endpoint.headers.get("Git-Protocol", ""),
        }
        return subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=True
        ).stdout


def _send(endpoint: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    endpoint.send_response(status)
    for name, value in headers:
        endpoint.send_header(name, value)
    endpoint.send_header("Content-Length", str(len(body)))
    endpoint.end_headers()
    endpoint.wfile.write(body)
