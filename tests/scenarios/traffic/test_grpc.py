"""gRPC on a port that is HTTP for the real edge, at one and at several replicas."""

from __future__ import annotations

import json
import subprocess

import pytest

from testing.docker.compose_project import deployed_project
from testing.stage import Stage, docker
from tests.scenarios.deploys.test_compose_shapes import of

pytestmark = pytest.mark.engine
# HTTP/2 without TLS and nothing else, as a server of gRPC: an empty message, and the status in a trailer.
SERVER = """\
const http2 = require('node:http2');
const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const head = { ':status': 200, 'content-type': 'application/grpc', mark: 'MARK' };
  stream.respond(head, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('error', () => {});
  stream.on('data', (data) => stream.write(data));
  stream.on('end', () => stream.end());
});
server.listen(8080);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); });
"""
# Calls for as many milliseconds, at the address; prints the marks, and all that was not a good answer.
CLIENT = """\
const http2 = require('node:http2');
const end = Date.now() + Number(process.argv[3]);
const told = { marks: {}, bad: [], first: '' };
let session;
const open = () => {
  session = http2.connect(process.argv[2]);
  session.on('error', (error) => told.bad.push(String(error)));
};
const call = () => new Promise((done) => {
  if (!session || session.closed || session.destroyed) open();
  const stream = session.request({ ':method': 'POST', ':path': '/shop.Shop/Get', te: 'trailers',
    'content-type': 'application/grpc' });
  const seen = { echoed: '' };
  stream.on('response', (headers) => Object.assign(seen, { status: headers[':status'], mark: headers.mark }));
  stream.on('trailers', (headers) => { seen.grpc = headers['grpc-status']; });
  stream.on('data', (data) => { seen.echoed += data; });
  stream.on('error', (error) => { seen.error = String(error); });
  stream.on('close', () => done(seen));
  stream.end('message');
});
(async () => {
  do {
    const seen = await call();
    if (seen.status === 200 && seen.grpc === '0' && seen.echoed === 'message') {
      told.marks[seen.mark] = (told.marks[seen.mark] || 0) + 1;
    } else told.bad.push(seen);
    await new Promise((done) => setTimeout(done, 10));
  } while (Date.now() < end);
  console.log(JSON.stringify(told));
  process.exit(0);
})();
"""
COMPOSE = """\
services:
  web:
    build: web
    ports: ["{port}:8080"]
    deploy: {replicas: COUNT}
  asker: {build: asker}
"""
DOCKERFILE = "FROM node:20-alpine\nWORKDIR /app\nCOPY . .\nCMD node server.js\n"


def files(mark: str, count: int) -> dict[str, str]:
    return {
        "web/Dockerfile": DOCKERFILE,
        "web/server.js": SERVER.replace("MARK", mark),
        "asker/Dockerfile": DOCKERFILE,
        "asker/client.js": CLIENT,
        "asker/server.js": "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0));\n",
        "compose.yaml": COMPOSE.replace("COUNT", str(count)),
    }


@pytest.mark.alone
@pytest.mark.parametrize("count", [1, 2])
def test_edge_e5_grpc_passes_and_no_call_is_lost_in_a_deploy(stage: Stage, count: int) -> None:
    deployed_project(stage, files("one", count))
    (asker,) = of(stage, "asker")
    client = ("exec", str(asker["Id"]), "node", "client.js", "http://web:8080")
    told = json.loads(docker(*client, "500"))
    assert told["bad"] == [] and list(told["marks"]) == ["one"]
    with subprocess.Popen(["docker", *client, "12000"], stdout=subprocess.PIPE, text=True) as asking:
        deployed_project(stage, files("two", count))
        told = json.loads(asking.communicate()[0])
    assert told["bad"] == [] and list(told["marks"]) == ["one", "two"]
