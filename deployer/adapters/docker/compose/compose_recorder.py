"""Recorder in the place of the engine. In: Compose's own calls on a socket. Out: the recorded create
requests; networks and volumes are made on the real engine.

Only Compose knows how to turn a service into a container, and it does so in one API call for each. The
recorder answers and keeps these calls and creates nothing. Reading calls are forwarded to the real engine,
and so are calls that make a network or a volume, once `permit` has judged them; every other call is refused.
API: https://docs.docker.com/reference/api/engine/version/v1.44/
"""

from __future__ import annotations

import hashlib
import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.container_requests import CreateRequest
from deployer.core.errors import ComposeRejected, DeployerError

Forward = Callable[[PermittedCall], tuple[int, Mapping[str, str], bytes]]
# Judges method, path and body of a call; raises an error for a call that must not be forwarded.
Permit = Callable[[str, str, bytes], PermittedCall]

_VERSION = re.compile(r"^/v[0-9.]+")
_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})/(json|archive)")
_CONNECT = re.compile(r"/networks/([^/]+)/connect")
_IMAGE = re.compile(r"/images/.+/json")
_NO_IMAGE = "sha256:" + "0" * 64
_OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})


class Recorder:
    """Recording of one run of Compose. Several connections may call every method at once."""

    def __init__(self, ids: Mapping[str, str]) -> None:
        self._ids = ids  # service → the id of its existing container
        self._lock = threading.Lock()
        self._made: dict[str, CreateRequest] = {}
        self.broken: DeployerError | None = None  # the reason why a call was refused or the engine failed

    @property
    def recorded(self) -> tuple[CreateRequest, ...]:
        return tuple(self._made.values())

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        """Returns status and JSON for a call about containers or images, None for a call to forward."""
        url = urlsplit(path)
        bare, query = _VERSION.sub("", url.path), parse_qs(url.query)
        if bare == "/containers/create":
            return 201, {"Id": self._create(query.get("name", [""])[0], json.loads(body)), "Warnings": []}
        if bare == "/containers/json":
            return 200, [_listed(one) for one in self.recorded if _matches(one, query)]
        if named := _CONTAINER.fullmatch(bare):
            return self._inspect_or_unpack(named[1], method, url.query, body)
        if connected := _CONNECT.fullmatch(bare):
            return self._connect(connected[1], json.loads(body))
        if _IMAGE.fullmatch(bare):  # the engine may lack the image under the file's name
            return 200, {"Id": _NO_IMAGE, "RepoTags": [], "Config": {}}
        return None

    def _create(self, name: str, body: dict[str, Any]) -> str:
        service = body["Labels"][ComposeLabel.SERVICE]
        id = self._ids.get(service) or hashlib.sha256(name.encode()).hexdigest()
        with self._lock:
            self._made[id] = CreateRequest(id, name, body)
        return id

    def _inspect_or_unpack(self, id: str, method: str, query: str, body: bytes) -> tuple[int, Any]:
        one = self._made.get(id)
        if one is None:
            return 404, {"message": f"No such container: {id}"}
        if method == "PUT":
            self._made[id] = CreateRequest(id, one.name, one.body, (*one.archives, (query, body)))
            return 200, None
        return 200, _inspected(one)

    def _connect(self, network: str, call: Mapping[str, Any]) -> tuple[int, Any]:
        """Records a connect call: before API 1.44 Compose connects further networks one by one."""
        one = self._made[str(call["Container"])]
        config = one.body.get("NetworkingConfig") or {}
        endpoints = {**(config.get("EndpointsConfig") or {}), network: call.get("EndpointConfig") or {}}
        body = {**one.body, "NetworkingConfig": {"EndpointsConfig": endpoints}}
        self._made[one.id] = CreateRequest(one.id, one.name, body, one.archives)
        return 200, None


def _matches(one: CreateRequest, query: Mapping[str, list[str]]) -> bool:
    filters = json.loads(query.get("filters", ["{}"])[0]).get("label", {})
    wanted = [text.partition("=") for text in filters]
    labels = one.body["Labels"]
    return all(name in labels and (not equal or labels[name] == text) for name, equal, text in wanted)


def _listed(one: CreateRequest) -> dict[str, Any]:
    return {
        "Id": one.id,
        "Names": [f"/{one.name}"],
        "Labels": one.body["Labels"],
        "State": "created",
        "Created": 0,
        "NetworkSettings": {"Networks": {}},
    }


def _inspected(one: CreateRequest) -> dict[str, Any]:
    return {
        "Id": one.id,
        "Name": f"/{one.name}",
        "Image": _NO_IMAGE,
        "State": {"Status": "created"},
        "Config": one.body,
        "HostConfig": one.body["HostConfig"],
        "Mounts": [],
        "NetworkSettings": {"Networks": {}},
    }


@contextmanager
def recording(path: Path, forward: Forward, ids: Mapping[str, str], permit: Permit) -> Iterator[Recorder]:
    """Runs a recorder on the socket `path`, for this user only. `ids`: service → the id of its existing
    container, for services that share its network.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    recorder = Recorder(ids)
    with _Server(str(path), recorder, forward, permit) as server:
        path.chmod(0o600)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 128  # Compose asks for all containers of a stack at once
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, recorder: Recorder, forward: Forward, permit: Permit) -> None:
        super().__init__(path, _Call)
        self.recorder = recorder
        self.forward = forward
        self.permit = permit

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores a broken connection: the exit code shows a Compose that ended in the middle of an
        answer.
        """


class _Call(BaseHTTPRequestHandler):
    """Handler of one connection of Compose."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: calls of Compose may hold variables."""

    def do_GET(self) -> None:
        body = self._body()
        answer = self.server.recorder.answer(self.command, self.path, body)
        if answer is None:
            self._forward(body)
            return
        status, table = answer
        raw = b"" if table is None else json.dumps(table).encode()
        self._send(status, {"Content-Type": "application/json"}, raw)

    def _forward(self, body: bytes) -> None:
        try:
            permitted = self.server.permit(self.command, self.path, body)
            self._send(*self.server.forward(permitted))
        except DeployerError as error:
            self.server.recorder.broken = error
            self._send(403 if isinstance(error, ComposeRejected) else 503, {}, b"")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        self.send_response(status)
        for name, text in headers.items():
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)
