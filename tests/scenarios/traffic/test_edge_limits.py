"""Requests, answers and connections that a server without a proxy takes, through the real edge."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from testing.docker.compose_project import deployed_project
from testing.docker.docker_cli import service_of
from testing.stage import Stage
from tests.scenarios.traffic.test_sessions import WebSocket

pytestmark = pytest.mark.engine
SERVER = """\
const http = require('node:http');
const crypto = require('node:crypto');
const server = http.createServer({ maxHeaderSize: 131072 }, (request, response) => {
  const [, many, size] = request.url.split('/');
  for (let i = 0; i < Number(many) || 0; i += 1) response.appendHeader('X-Long', 'a'.repeat(+size));
  response.end('answered\\n');
});
server.maxHeadersCount = 0;
server.on('upgrade', (request, stream) => {
  stream.on('error', () => {});
  const accept = crypto.createHash('sha1')
    .update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  stream.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
    + 'Sec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  stream.pipe(stream);
});
server.listen({ port: 8080, backlog: 1024 });
process.on('SIGTERM', () => process.exit(0));
"""
FILES = {
    "Dockerfile": 'FROM node:20-alpine\nCOPY server.js .\nCMD ["node", "server.js"]\n',
    "server.js": SERVER,
    "compose.yaml": 'services: {web: {build: ., ports: ["{port}:8080"]}}\n',
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        deployed_project(made, FILES)
        yield made


@pytest.fixture
def connection(stage: Stage) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stage.api_port, timeout=20)) as made:
        yield made


def address_of_edge(stage: Stage) -> str:
    (edge,) = (one for one in stage.containers() if service_of(one) == "deployer-edge")
    (network,) = edge["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/", {"Cookie": "c" * 30_000}),
        ("/", {"Cookie": "c" * 64_000}),
        ("/" + "p" * 60_000, {}),
        ("/", {f"X-{number}": "a" for number in range(110)}),
        ("/", {f"X-{number}": "a" * 100 for number in range(490)}),
    ],
    ids=["30 KB", "64 KB", "a long address", "110 headers", "490 headers of 100 bytes"],
)
def test_edge_e1_what_a_client_may_send_to_the_server_it_may_send_through_the_edge(
    connection: http.client.HTTPConnection, target: str, headers: dict[str, str]
) -> None:
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body[:200]


@pytest.mark.parametrize("target", ["/1/30000", "/1/64000", "/500/100"])
def test_edge_e1_what_a_server_may_answer_reaches_the_client(stage: Stage, target: str) -> None:
    with socket.create_connection(("127.0.0.1", stage.api_port), timeout=20) as stream:
        stream.sendall(f"GET {target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    _, many, size = target.split("/")
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
    assert answer.lower().count(b"\nx-long: ") == int(many) and answer.count(b"a") >= int(many) * int(size)


@pytest.mark.alone
def test_edge_e1_more_than_four_thousand_websockets_leave_room_for_requests(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    """Past Docker's userland proxy, whose descriptors would end first."""
    address = address_of_edge(stage)
    with contextlib.ExitStack() as stack:
        opened = [WebSocket(8080, address) for _ in range(4300)]
        for one in opened:
            stack.callback(one.close)
        assert opened[0].echo("first") == "first" and opened[-1].echo("last") == "last"
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
