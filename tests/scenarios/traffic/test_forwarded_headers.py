"""Headers by which a proxy says for whom it asks, on the real edge: the words of a client about itself
reach no application, the words of a proxy stay.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from testing.docker.compose_project import deployed_project
from testing.docker.docker_cli import free_port, service_of
from testing.stage import Stage, docker

pytestmark = [pytest.mark.engine, pytest.mark.case("X12")]
SERVER = """\
const http = require('node:http');
const server = http.createServer((request, response) => {
  const headers = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    headers.push([request.rawHeaders[i].toLowerCase(), request.rawHeaders[i + 1]]);
  }
  response.end(JSON.stringify({ url: request.url, headers }) + '\\n');
});
server.on('upgrade', (request, stream) => {
  stream.on('error', () => {});
  const told = JSON.stringify({ connection: request.headers.connection,
    proto: request.headers['x-forwarded-proto'] });
  const accept = require('node:crypto').createHash('sha1')
    .update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  stream.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: ' + request.headers.upgrade
    + '\\r\\nSec-WebSocket-Accept: ' + accept
    + '\\r\\nConnection: Upgrade\\r\\nX-Told: ' + told + '\\r\\n\\r\\n');
  stream.pipe(stream);
});
server.listen(Number(process.env.PORT));
process.on('SIGTERM', () => process.exit(0));
"""
COMPOSE = """\
services:
  web:
    build: .
    environment: {PORT: "3001"}
    ports: ["{port}:3001"]
  inner:
    build: .
    environment: {PORT: "3002"}
    ports: ["127.0.0.1:{inner}:3002"]
    x-deployer: {protocol: http}
  declared:
    build: .
    environment: {PORT: "3003"}
    ports: ["{declared}:3003"]
    x-deployer: {behind-proxy: true, protocol: http}
  asker:
    build: .
    environment: {PORT: "3004"}
"""
FILES = {
    "Dockerfile": 'FROM node:20-alpine\nCOPY server.js .\nCMD ["node", "server.js"]\n',
    "server.js": SERVER,
}
CLAIMS = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Host": "bank.example",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Prefix": "/admin",
    "Forwarded": "for=192.0.2.66;proto=https;host=bank.example",
    "X-Real-IP": "192.0.2.66",
    "Client-IP": "192.0.2.66",
    "X-Scheme": "https",
    "Front-End-Https": "on",
}


class Ports:
    """The published ports of the services, on one deployed stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.web, self.inner, self.declared = stage.api_port, free_port(), free_port()
        text = COMPOSE.replace("{inner}", str(self.inner)).replace("{declared}", str(self.declared))
        deployed_project(stage, FILES | {"compose.yaml": text})


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    with Stage() as stage:
        yield Ports(stage)


def raw(port: int, text: str) -> bytes:
    """The whole answer to these bytes; the request ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def seen(port: int, *lines: str, target: str = "/", host: str = "shop.example") -> dict[str, list[str]]:
    """Header → its values as the application got them."""
    connection = (
        [] if any(line.lower().startswith("connection:") for line in lines) else ["Connection: close"]
    )
    head = [f"GET {target} HTTP/1.1", f"Host: {host}", *lines, *connection]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = stream.makefile("rb")
        assert b" 200 " in answer.readline()
        while answer.readline().strip():
            pass
        body = answer.readline()
        found = json.loads(body if body.startswith(b"{") else answer.readline())
    return by_name(found)


def by_name(found: dict[str, Any]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, value in found["headers"]:
        told.setdefault(name, []).append(value)
    return told


def claimed(headers: dict[str, list[str]]) -> set[str]:
    """Names whose value is the client's word."""
    words = set(CLAIMS.values()) | {"192.0.2.66, 127.0.0.1", "http, https", "bank.example"}
    return {name for name, values in headers.items() if words & set(values)}


def lines(claims: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in claims.items()]


def test_the_claims_of_a_client_reach_no_application(ports: Ports) -> None:
    got = seen(ports.web, *lines(CLAIMS))
    assert claimed(got) == set()
    assert got["x-forwarded-proto"] == ["http"] and got["x-forwarded-host"] == ["shop.example"]
    assert len(got["x-forwarded-for"]) == 1 and got["x-forwarded-for"][0].count(".") == 3


@pytest.mark.parametrize(
    "sent",
    [
        lines({name.replace("-", "_"): value for name, value in CLAIMS.items() if "-" in name}),
        lines({name.upper(): value for name, value in CLAIMS.items()}),
        lines({name.lower(): value for name, value in CLAIMS.items()}),
        ["X-Forwarded_Proto: https", "X_Forwarded-For: 192.0.2.66"],
        ["X-Forwarded-Proto: http", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.66"] * 3,
        ["X-Forwarded-Proto: http, https", "X-Forwarded-For: 192.0.2.66, 127.0.0.1"],
        ["X-Forwarded-Proto:https", "X-Forwarded-For:\t192.0.2.66"],
        ["X-Forwarded-Server: bank.example", "X-Forwarded-Protocol: https", "X-Forwarded-Scheme: https"],
        ["X-Url-Scheme: https", "X-Cluster-Client-IP: 192.0.2.66", "X-Client-IP: 192.0.2.66"],
    ],
)
def test_another_spelling_of_a_claim_is_a_claim(ports: Ports, sent: list[str]) -> None:
    got = seen(ports.web, *sent)
    assert claimed(got) == set()
    assert got["x-forwarded-proto"] == ["http"]


@pytest.mark.parametrize(
    "connection",
    [
        "close, X-Forwarded-Proto",
        "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, close",
        "x-forwarded-proto\r\nConnection: close",
        "keep-alive, Cookie, X-Forwarded-Proto",
    ],
)
def test_a_client_names_no_header_of_the_edge_as_meant_for_one_hop(ports: Ports, connection: str) -> None:
    got = seen(ports.web, f"Connection: {connection}", "Cookie: a=b")
    assert not any(
        "forwarded" in value.lower() or "cookie" in value.lower() for value in got.get("connection", [])
    )
    assert got["x-forwarded-proto"] == ["http"] and got["cookie"] == ["a=b"] and "x-forwarded-for" in got


def test_a_target_with_a_scheme_changes_nothing(ports: Ports) -> None:
    got = seen(ports.web, target="https://shop.example/admin")
    assert got["x-forwarded-proto"] == ["http"] and got["x-forwarded-host"] == ["shop.example"]


def test_without_a_host_there_is_no_forwarded_host(ports: Ports) -> None:
    answer = raw(ports.web, "GET / HTTP/1.0\r\nX-Forwarded-Host: bank.example\r\n\r\n")
    assert b"bank.example" not in answer and b"x-forwarded-host" not in answer


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto : https",
        "GET / HTTP/1.1\r\nHost: a\r\n X-Forwarded-Proto: https",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded\x00-Proto: https",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: xchunked",
    ],
)
def test_a_request_that_servers_read_differently_is_refused(ports: Ports, head: str) -> None:
    assert raw(ports.web, f"{head}\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400")


def pack(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """HPACK without an index and without Huffman (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def over_http2(port: int, *fields: tuple[str, str]) -> bytes:
    """The data of the answer, or what came instead of it; HTTP/2 by prior knowledge (RFC 9113, 3.3)."""
    block = b"".join(literal(name, value) for name, value in fields)
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + pack(4, 0, 0, b"") + pack(1, 5, 1, block)
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        stream = connection.makefile("rb")
        while len(head := stream.read(9)) == 9:
            payload = stream.read(int.from_bytes(head[:3], "big"))
            got += payload if head[3] in (0, 1, 3, 7) else b""
            if (head[3] in (0, 1) and head[4] & 1) or head[3] in (3, 7):
                break
    return got


PSEUDO = ((":method", "GET"), (":path", "/"), (":authority", "shop.example"))


def test_the_scheme_of_http2_is_a_claim_too(ports: Ports) -> None:
    got = over_http2(
        ports.web,
        *PSEUDO,
        (":scheme", "https"),
        ("x-forwarded-proto", "https"),
        ("x_forwarded_proto", "https"),
    )
    told = by_name(json.loads(got[got.index(b'{"url"') :]))
    assert told["x-forwarded-proto"] == ["http"] and "x_forwarded_proto" not in told
    assert told["x-forwarded-host"] == ["shop.example"]


@pytest.mark.parametrize(
    "field", [("connection", "x-forwarded-proto"), ("X-Forwarded-Proto", "https"), (":forwarded", "https")]
)
def test_http2_fields_that_no_server_may_read_are_refused(ports: Ports, field: tuple[str, str]) -> None:
    assert b'{"url"' not in over_http2(ports.web, *PSEUDO, (":scheme", "http"), field)


def upgrade(port: int, protocol: str, connection: str = "Upgrade", *more: str) -> bytes:
    head = [
        "GET / HTTP/1.1",
        "Host: shop.example",
        f"Upgrade: {protocol}",
        f"Connection: {connection}",
        *more,
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        got = stream.recv(65536)
        if b" 101 " in got:
            stream.sendall(b"there?")
            while b"there?" not in got:
                got += stream.recv(65536)
        return got


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade", "upgrade, X-Forwarded-Proto"])
def test_websockets_pass_with_the_words_of_the_edge(ports: Ports, connection: str) -> None:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    got = upgrade(
        ports.web, "websocket", connection, key, "Sec-WebSocket-Version: 13", "X-Forwarded-Proto: https"
    )
    assert b" 101 " in got and got.endswith(b"there?")
    assert b'"proto":"http"' in got and b"X-Forwarded-Proto" not in got


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "h2c, websocket"])
def test_nobody_upgrades_past_the_edge_to_http2(ports: Ports, protocol: str) -> None:
    got = upgrade(ports.web, protocol, "Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    assert got.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))  # 400: a WebSocket without its key


@pytest.mark.parametrize("port", ["inner", "declared"])
def test_the_chain_stays_as_a_proxy_in_front_wrote_it(ports: Ports, port: str) -> None:
    number = getattr(ports, port)
    got = seen(
        number, "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.66", "X-Forwarded-Host: a.example"
    )
    assert (got["x-forwarded-proto"], got["x-forwarded-for"]) == (["https"], ["192.0.2.66"])
    assert got["x-forwarded-host"] == ["a.example"]
    bare = seen(number)
    assert bare["x-forwarded-proto"] == ["http"] and len(bare["x-forwarded-for"]) == 1


@pytest.mark.parametrize("port", ["inner", "declared"])
def test_edge_e2_an_application_that_trusts_one_hop_sees_the_client_of_a_proxy_on_the_host(
    ports: Ports, port: str
) -> None:
    chain = "203.0.113.7, 192.0.2.66"
    got = seen(getattr(ports, port), f"X-Forwarded-For: {chain}", "X-Real-IP: 192.0.2.66", "Forwarded: for=a")
    assert got["x-forwarded-for"] == [chain], "one hop is the last one: whom the proxy saw, and no gateway"
    assert got["x-real-ip"] == ["192.0.2.66"] and got["forwarded"] == ["for=a"]
    twice = seen(getattr(ports, port), "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 192.0.2.66")
    assert twice["x-forwarded-for"] == ["203.0.113.7", "192.0.2.66"]


def asked_inside(ports: Ports, headers: dict[str, str], host: str = "web") -> dict[str, list[str]]:
    (asker,) = (one for one in ports.stage.containers() if service_of(one) == "asker")
    asked = f"fetch('http://{host}:3001/', {{headers: {json.dumps(headers)}}})"
    words = f"{asked}.then(r => r.text()).then(console.log)"
    return by_name(json.loads(docker("exec", asker["Id"], "node", "-e", words)))


def test_the_chain_stays_as_a_proxy_inside_the_network_wrote_it(ports: Ports) -> None:
    got = asked_inside(ports, {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.66"})
    assert (got["x-forwarded-proto"], got["x-forwarded-for"]) == (["https"], ["192.0.2.66"])
    bare = asked_inside(ports, {})
    assert "x-forwarded-proto" not in bare and len(bare["x-forwarded-for"]) == 1


def test_a_container_that_asks_by_the_hosts_port_is_a_client(ports: Ports) -> None:
    """It comes from the gateway, as the host's own processes do."""
    network = f"{ports.stage.project}_default"
    gateway = json.loads(docker("network", "inspect", network))[0]["IPAM"]["Config"][0]["Gateway"]
    (asker,) = (one for one in ports.stage.containers() if service_of(one) == "asker")
    words = (
        f"fetch('http://{gateway}:{ports.web}/', {{headers: {{'X-Forwarded-Proto': 'https'}}}})"
        ".then(r => r.text()).then(console.log)"
    )
    got = by_name(json.loads(docker("exec", asker["Id"], "node", "-e", words)))
    assert got["x-forwarded-proto"] == ["http"]
