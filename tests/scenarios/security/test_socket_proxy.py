"""Docker's socket behind the allow-list in examples/: every way of a deploy passes, all else is 403."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.receiver.socket_proxy import SocketProxy
from testing.stage import Stage, wait_for
from testing.user_repository import forget_here

# It removes images, and every stage builds the same ones.
pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.alone]

# What a deployer asks of Docker at least, each time.
CALLS = {
    "HEAD /_ping",
    "GET /version",
    "GET /info",
    "GET /containers/json",
    "GET /containers/ID/json",
    "GET /containers/ID/logs",
    "GET /images/NAME/json",
    "GET /networks",
    "GET /networks/ID",
    "POST /images/create",
    "POST /containers/create",
    "POST /containers/ID/start",
    "POST /containers/ID/stop",
    "POST /networks/create",
    "DELETE /containers/ID",
    "DELETE /images/NAME",
}
REFUSED = """
POST /containers/ID/exec
POST /exec/ID/start
POST /containers/ID/attach
GET /containers/ID/attach/ws
POST /containers/ID/update
POST /containers/ID/resize
POST /containers/ID/pause
GET /containers/ID/archive?path=/etc
PUT /containers/ID/archive?path=/
HEAD /containers/ID/archive?path=/
GET /containers/ID/export
GET /containers/ID/top
POST /containers/prune
POST /build
POST /build/prune
POST /session
POST /grpc
POST /commit?container=ID
POST /auth
GET /plugins
GET /plugins/privileges?remote=x
POST /plugins/pull?remote=x
POST /plugins/x/enable
GET /swarm
POST /swarm/init
POST /swarm/join
GET /nodes
GET /services
POST /services/create
GET /tasks
GET /secrets
POST /secrets/create
GET /configs
POST /configs/create
GET /events
GET /system/df
GET /distribution/x/json
POST /images/load
GET /images/get?names=x
GET /images/search?term=x
POST /images/prune
POST /images/x/push
DELETE /images/x
DELETE /images/x:latest
DELETE /images/sha256:DIGEST
DELETE /images/DIGEST
DELETE /images/x@sha256:DIGEST0
DELETE /images/x@sha256:DIGEST?force=1
DELETE /images/x@sha256:DIGEST?force=False&noprune=False&force=1
DELETE /images/x@sha256:DIGEST?%66orce=1
DELETE /images/x@sha256:DIGEST/../x
POST /images/x@sha256:DIGEST
POST /networks/prune
POST /volumes/prune
DELETE /volumes/x
GET /debug/pprof
PATCH /info
OPTIONS /info
PUT /containers/json
DELETE /containers/json/x
GET /
GET //plugins
GET /v1.43//plugins
GET /v1.43x/plugins
GET /v1.43/v1.43/info
GET /containers/json/../../plugins
GET /_ping/../plugins
GET /images/x/../../plugins/json
GET /images/x/%2e%2e/%2e%2e/plugins/json
GET /containers/json%2f..%2f..%2fplugins
GET /containers/..%2f..%2fplugins/json
POST /containers/ID/start/../exec
POST /containers/ID/exec%3f/start
POST /containers/ID/exec;/start
POST /CONTAINERS/ID/START
GET /containers/json%00
GET /info%20
"""


@pytest.fixture
def proxied() -> Iterator[tuple[Stage, SocketProxy]]:
    stage = Stage()
    with SocketProxy(stage.folder / "proxy", f"{stage.project}-proxy") as proxy:
        stage.engine = f"unix://{proxy.socket}"
        with stage:
            yield stage, proxy


def ask(path: Path, method: str, target: str) -> int:
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(10)
        connected.connect(str(path))
        connected.sendall(f"{method} {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connected, method=method)
        answer.begin()
        return answer.status


def test_every_way_of_a_deploy_passes_and_everything_else_is_refused(
    proxied: tuple[Stage, SocketProxy],
) -> None:
    stage, proxy = proxied
    section = "[apps.shop.environments.production]"
    stage.reconfigure(section, f"{section}\nreleases = 2")
    first, second = stage.publish("1.0.0"), stage.publish("2.0.0")
    forget_here(first.images["backend"])  # built here, so it must go before it can be pulled
    assert stage.deploy(first)["status"] == "success"
    assert stage.deploy(second)["status"] == "success"
    wait_for("the second release", lambda: stage.serves() == "2.0.0", 30)
    stage.source.write("backend/server.js", "process.exit(3);\n")
    third = stage.publish("3.0.0")
    forget_here(third.images["backend"])  # only what was pulled is pruned
    ended = stage.deploy(third)
    assert ended["status"] == "failure" and "serves as before" in ended["reason"]
    assert stage.cli("rollback", "shop").returncode == 0
    assert "nothing to do" in stage.cli("plan", "shop").stdout and stage.cli("status").returncode == 0

    calls = [(status, named(method, path)) for status, method, path in proxy.calls()]
    assert sorted({call for status, call in calls if status == 403}) == []
    used = {call for _, call in calls}
    assert used >= CALLS, f"not asked: {sorted(CALLS - used)}"
    backend = next(c["Id"] for c in stage.containers() if "-backend-" in c["Name"])
    for line in REFUSED.split("\n"):
        if line:
            whole = line.replace("DIGEST", "0" * 64).replace("ID", backend)
            method, _, target = whole.partition(" ")
            for prefix in ("", "/v1.43") if target.count("/v1.43") == 0 else ("",):
                assert ask(proxy.socket, method, prefix + target) in (400, 403), f"{method} {prefix}{target}"
    assert ask(proxy.socket, "GET", "/v1.43/info") == 200
    wait_for("the first release", lambda: stage.serves() == "1.0.0", 30)


def named(method: str, path: str) -> str:
    """A call without version, ids and names."""
    path = re.sub(r"^/v1\.\d+", "", path)
    path = re.sub(r"^/images/.+/(json|tag)$", r"/images/NAME/\1", path)
    path = re.sub(r"^/images/[^?]+(?:@|%40)sha256.*", "/images/NAME", path)
    path = re.sub(r"^/(containers|networks)/(?!json$|create$)[^/]+", r"/\1/ID", path)
    return f"{method} {path}"
