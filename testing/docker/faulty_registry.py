"""The real registry behind a proxy with faults. In: the name of a fault. Out: refusals, cut layers or wrong
bytes for an engine that pulls.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests

from deployer.core.images import Image

_KINDS = "application/vnd.oci.image"
_ACCEPT = f"{_KINDS}.manifest.v1+json, {_KINDS}.index.v1+json"
STATUSES = {  # as https://distribution.github.io/distribution/spec/api/#errors-2 names them
    "401": (401, "UNAUTHORIZED"),
    "403": (403, "DENIED"),
    "404": (404, "MANIFEST_UNKNOWN"),
    "429": (429, "TOOMANYREQUESTS"),
    "500": (500, "UNKNOWN"),
}


class FaultyRegistry:
    """A context manager. `fault` is empty, one of `STATUSES`, or `cut`, `other bytes`, `hang`."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.fault = ""
        self.asked: list[str] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answers())
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answers(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                found = requests.get(
                    f"http://{registry.behind}{self.path}",
                    headers={"Accept": ", ".join(self.headers.get_all("Accept", [_ACCEPT]))},
                    timeout=20,
                )
                registry.answer(self, found)

            do_HEAD = do_GET

            def log_message(self, format: str, *arguments: Any) -> None:
                """Logs nothing."""

        return Answer

    def answer(self, to: BaseHTTPRequestHandler, found: requests.Response) -> None:
        asks_content = "/manifests/" in to.path or "/blobs/" in to.path
        body, status, kind = found.content, found.status_code, found.headers.get("Content-Type", "")
        if asks_content and self.fault in STATUSES:
            (status, code), kind = STATUSES[self.fault], "application/json"
            body = json.dumps({"errors": [{"code": code, "message": f"the test says {code}"}]}).encode()
        if "/manifests/" in to.path and self.fault == "other bytes":
            body += b" "
        if asks_content and self.fault == "hang":
            self.over.wait(60)
        to.send_response(status)
        to.send_header("Content-Type", kind)
        kept = ("Docker-Content-Digest", "Docker-Distribution-Api-Version")
        for name in kept:
            if name in found.headers:
                to.send_header(name, found.headers[name])
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        if to.command == "HEAD":
            return
        cut = "/blobs/" in to.path and self.fault == "cut" and len(body) > 100_000
        to.wfile.write(body[: len(body) // 2] if cut else body)
        to.close_connection = to.close_connection or cut


def push_fresh(host: str, name: str) -> Image:
    """Pushes an image of one layer, 2 MB of random bytes, that the engine has never seen."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        noise = os.urandom(2_000_000)
        entry = tarfile.TarInfo("noise")
        entry.size = len(noise)
        archive.addfile(entry, io.BytesIO(noise))
    layer = gzip.compress(tarred.getvalue(), 1)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/noise"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(tarred.getvalue())]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_KINDS}.manifest.v1+json",
        "config": _blob(host, name, f"{_KINDS}.config.v1+json", json.dumps(config).encode()),
        "layers": [_blob(host, name, f"{_KINDS}.layer.v1.tar+gzip", layer)],
    }
    return Image(f"{host}/{name}", _manifest(host, name, manifest))


def _manifest(host: str, name: str, manifest: Mapping[str, Any]) -> str:
    raw = json.dumps(manifest).encode()
    kind = {"Content-Type": str(manifest["mediaType"])}
    url = f"http://{host}/v2/{name}/manifests/{_digest(raw)}"
    requests.put(url, data=raw, headers=kind, timeout=20).raise_for_status()
    return _digest(raw)


def _blob(host: str, name: str, kind: str, raw: bytes) -> dict[str, Any]:
    begun = requests.post(f"http://{host}/v2/{name}/blobs/uploads/", timeout=20)
    begun.raise_for_status()
    done = requests.put(begun.headers["Location"], params={"digest": _digest(raw)}, data=raw, timeout=20)
    done.raise_for_status()
    return {"mediaType": kind, "digest": _digest(raw), "size": len(raw)}


def _digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()
