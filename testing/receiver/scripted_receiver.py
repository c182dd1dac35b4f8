"""A receiver that follows a script, and its token service. In: answers to give. Out: the requests.

It gives answers that a real receiver gives only in a failure: a 503 at the wrong moment, a stream that breaks
in mid-line, another server's address in an answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deployer.core.errors import DeployerError
from deployer.core.release.proven_images import ProvenRun, find_known, parse_query
from deployer.core.requests.deploy_request import parse_request

READ_TOKEN = "read-token-for-one-deployment"
ID = "d-17"


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    at: float = 0.0  # by the monotonic clock


@dataclass(frozen=True)
class Reply:
    """One answer; `cut` breaks the connection inside a chunk instead of ending it."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def reply(code: int, /, **fields: Any) -> Reply:
    return Reply(code, json.dumps(fields).encode())


def event(n: int, text: str, *, kind: str = "step", at: float = 1000.0) -> bytes:
    line = json.dumps({"n": n, "at": at + n, "kind": kind, "text": text})
    return f"id: {n}\nevent: {kind}\ndata: {line}\n\n".encode()


def end(status: str, reason: str = "") -> bytes:
    return f"event: end\ndata: {json.dumps({'status': status, 'reason': reason})}\n\n".encode()


def story(*parts: bytes, cut: bool = False) -> Reply:
    return Reply(200, b"retry: 2000\n\n: waiting\n\n" + b"".join(parts), "text/event-stream", cut=cut)


class DeployApi:
    """Serves on 127.0.0.1. Each kind of request takes its next reply; the last reply stays."""

    def __init__(self) -> None:
        api = self

        class Endpoint(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api._answer(self, b"")

            def do_POST(self) -> None:
                api._answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def do_PUT(self) -> None:
                api._answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.asked: list[Asked] = []
        self.audiences: list[str] = []
        self.posts: list[Reply] = [self.accepted()]
        self.streams: list[Reply] = [story(end("success"))]
        self.polls: list[Reply] = [reply(200, status="queued", events=[])]
        self.tokens: list[Reply] = []
        self.proven: list[ProvenRun] = []  # of the recorded requests, newest first
        self.others: Callable[[Asked], Reply] = lambda _: reply(
            404, error="not-found", message="no such page"
        )

    def accepted(self, code: int = 202, /, **changes: Any) -> Reply:
        """Returns a receiver's answer to a deploy request."""
        url = f"{self.url}/api/v1/deployments/{ID}"
        fields = {"id": ID, "status": "queued", "outcome": "queued", "reason": "", "url": url}
        return reply(code, **{**fields, "events": f"{url}/events", "read_token": READ_TOKEN, **changes})

    def environment(self) -> dict[str, str]:
        """Returns the variables with which a workflow step requests tokens."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
        }

    def of(self, method: str, ending: str) -> list[Asked]:
        """Returns the requests whose path, without query, ends with the given one."""
        return [
            one for one in self.asked if one.method == method and urlsplit(one.path).path.endswith(ending)
        ]

    def __enter__(self) -> DeployApi:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, endpoint: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {name.lower(): value for name, value in endpoint.headers.items()}
        asked = Asked(endpoint.command, endpoint.path, headers, body, time.monotonic())
        self.asked.append(asked)
        _send(endpoint, self._choose(asked))

    def _choose(self, asked: Asked) -> Reply:
        path = urlsplit(asked.path).path
        if path == "/token":
            return self._token(asked)
        if path == "/api/v1/deployments":
            self._remember(asked)
            return _next(self.posts)
        if path == "/api/v1/tested-images":
            known = find_known(self.proven, parse_query(asked.body))
            images = {service: str(image) for service, image in known.images.items()}
            return reply(200, images=images, tested=known.tested)
        if path == f"/api/v1/deployments/{ID}/events":
            return _next(self.streams)
        return _next(self.polls) if path == f"/api/v1/deployments/{ID}" else self.others(asked)

    def _remember(self, asked: Asked) -> None:
        """Records a request with a token as a receiver does."""
        try:
            request = parse_request(asked.body)
        except DeployerError:
            return
        if request.tested and "authorization" in asked.headers:
            word = request.tested
            place = (request.app, request.environment, request.revision)
            self.proven.insert(0, ProvenRun(*place, word.combination, request.images, word.trees))

    def _token(self, asked: Asked) -> Reply:
        self.audiences += parse_qs(urlsplit(asked.path).query)["audience"]
        return _next(self.tokens) if self.tokens else reply(200, value=f"signed-token-{len(self.audiences)}")


def _next(replies: list[Reply]) -> Reply:
    return replies.pop(0) if len(replies) > 1 else replies[0]


def _send(endpoint: BaseHTTPRequestHandler, answer: Reply) -> None:
    endpoint.send_response(answer.status)
    endpoint.send_header("Content-Type", answer.kind)
    for name, value in answer.headers:
        endpoint.send_header(name, value)
    endpoint.send_header("Transfer-Encoding", "chunked")
    endpoint.send_header("Connection", "close")
    endpoint.end_headers()
    size = len(answer.body) + 100 if answer.cut else len(answer.body)
    endpoint.wfile.write(f"{size:x}\r\n".encode() + answer.body)
    if not answer.cut:
        endpoint.wfile.write(b"\r\n0\r\n\r\n")
    endpoint.close_connection = True
