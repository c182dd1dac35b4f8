"""An application that knows its hosts by name, and counts what it refuses."""

from __future__ import annotations

import json
import urllib.request

import pytest

from testing.docker.compose_project import deployed_project
from testing.stage import Stage

pytestmark = pytest.mark.engine
SERVER = """\
const http = require('node:http');
const begun = Date.now();
const seen = [];
const server = http.createServer((request, response) => {
  const name = request.headers.host.split(':')[0];
  if (request.url === '/seen') return response.end(JSON.stringify(seen));
  const known = process.env.ALLOWED_HOSTS.split(',').includes(name);
  response.statusCode = !known ? 400 : Date.now() - begun < 4000 ? 503 : 200;
  seen.push([request.headers['user-agent'], request.headers.host, response.statusCode]);
  response.end('x');
});
server.listen(8000);
process.on('SIGTERM', () => process.exit(0));
"""
FILES = {
    "Dockerfile": 'FROM node:20-alpine\nCOPY server.js .\nCMD ["node", "server.js"]\n',
    "server.js": SERVER,
    "compose.yaml": """\
services:
  web:
    build: .
    environment: {ALLOWED_HOSTS: "localhost,shop.example"}
    ports: ["{port}:8000"]
    healthcheck: {test: ["CMD", "wget", "-qO-", "http://localhost:8000/health"], interval: 10s, retries: 5}
""",
}


def test_edge_e3_the_deployer_asks_by_the_checks_host_and_not_without_pause(stage: Stage) -> None:
    deployed_project(stage, FILES)
    with urllib.request.urlopen(f"http://127.0.0.1:{stage.api_port}/seen", timeout=10) as answer:
        seen = json.loads(answer.read())
    asked = {
        agent: [one for one in seen if one[0] == agent] for agent in ("deployer-gate", "deployer-measure")
    }
    assert {host for mine in asked.values() for _, host, _ in mine} == {"localhost:8000"}
    assert [status for _, _, status in asked["deployer-gate"][-2:]] == [200, 200]
    refused = [one for one in asked["deployer-gate"] if one[2] == 503]
    assert 1 <= len(refused) <= 13, "4 s with at most two requests a second after the first five"
