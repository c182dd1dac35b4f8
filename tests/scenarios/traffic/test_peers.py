"""A static upstream in front of a service whose ports the Compose file does not declare."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from deployer.core.model import Bundle
from testing.docker.docker_cli import service_of, wait_for
from testing.load.http_load import Load
from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import of

pytestmark = pytest.mark.engine
SERVER = """\
import http from 'node:http';
import os from 'node:os';
const server = http.createServer((request, response) => {
  const sick = process.env.SICK && request.url === '/health';
  response.statusCode = sick ? 503 : 200;
  response.end(JSON.stringify({ host: os.hostname(), mark: process.env.MARK }) + '\\n');
});
server.listen(3001);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
ASK = "fetch('http://127.0.0.1:3001/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
DOCKERFILE = """\
FROM node:20-alpine
WORKDIR /app
COPY . .
{more}
CMD ["node", "server.js"]
"""
CHECKED = f'HEALTHCHECK --interval=1s --start-period=30s CMD ["node", "-e", "{ASK}"]'
SITE = "server { listen 80; location / { proxy_pass http://backend:3001; } }\n"
COMPOSE = """\
services:
  frontend:
    build: frontend
    ports: ["{port}:80"]
    {depends}
    {mounts}
  backend:
    build: backend
    environment: {{MARK: "{mark}", SICK: "{sick}"}}
    {check}
"""
VARIANTS = {
    "a check by command": {
        "check": f'healthcheck: {{test: ["CMD", "node", "-e", "{ASK}"], interval: 1s, start_period: 30s}}',
    },
    "EXPOSE and HEALTHCHECK": {"dockerfile": f"EXPOSE 3001\n{CHECKED}"},
    "a mounted file": {"mounts": 'volumes: ["./site.conf:/etc/nginx/conf.d/default.conf:ro"]'},
    "EXPOSE alone": {"dockerfile": "EXPOSE 3001"},
}


class Peers:
    """One variant on its stage."""

    def __init__(self, stage: Stage, variant: dict[str, str]) -> None:
        self.stage, self.variant = stage, variant
        stage.source.write("backend/server.js", SERVER)
        stage.source.write("backend/Dockerfile", DOCKERFILE.format(more=variant.get("dockerfile", "")))
        stage.source.write("frontend/nginx.conf", SITE)
        self.release: Published = stage.publish("1.0.0")

    def deploy(self, mark: str, sick: str = "") -> dict[str, object]:
        text = COMPOSE.format(
            port=self.stage.api_port,
            depends=self.variant.get("depends", ""),
            mounts=self.variant.get("mounts", ""),
            check=self.variant.get("check", ""),
            mark=mark,
            sick=sick,
        )
        files = {"compose.yaml": text} | ({"site.conf": SITE} if "mounts" in self.variant else {})
        status, answer = self.stage.request(
            self.release, images=self.release.images, bundle=Bundle("compose.yaml", files)
        )
        assert status == 202, answer
        return self.stage.finished(answer["id"], answer["read_token"])

    def ask(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stage.api_port}/", timeout=10) as answer:
            return str(json.loads(answer.read())["mark"])

    def told(self) -> str:
        """The answer, or what came instead of one."""
        try:
            return self.ask()
        except OSError as error:
            return str(error)

    def addresses(self) -> set[str]:
        """What the frontend is told for the name of its upstream."""
        (frontend,) = of(self.stage, "frontend")
        told = docker("exec", str(frontend["Id"]), "getent", "ahostsv4", "backend")
        return set(re.findall(r"^([0-9.]+)\s", told, re.MULTILINE))

    def edge(self) -> set[str]:
        edges = [one for one in self.stage.containers() if service_of(one) == "deployer-edge"]
        networks = [one["NetworkSettings"]["Networks"] for one in edges]
        return {str(settings["IPAddress"]) for each in networks for settings in each.values()}


@pytest.mark.case("H08")
@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_no_request_is_lost_and_no_dead_address_stays(stage: Stage, variant: dict[str, str]) -> None:
    peers = Peers(stage, variant)
    first = peers.deploy("one")
    assert first["status"] == "success", first["reason"]
    assert peers.ask() == "one"
    with Load(f"http://127.0.0.1:{stage.api_port}/", new=50, kept=50) as load:
        changed = peers.deploy("two")
        if "EXPOSE and" in str(variant) or "check" in variant:
            bad = peers.deploy("three", sick="yes")
            assert bad["status"] == "failure", bad
            assert peers.ask() == "two"
        assert stage.cli("rollback", "shop").returncode == 0
    assert changed["status"] == "success", changed["reason"]
    assert load.report.losses() == []
    assert peers.ask() == "one" and load.report.first('"three"') is None
    assert peers.addresses() == peers.edge()


@pytest.mark.case("H08")
def test_a_service_on_unknown_ports_that_a_peer_waits_for_is_replaced_stop_first(stage: Stage) -> None:
    peers = Peers(stage, {"depends": "depends_on: [backend]"})
    assert peers.deploy("one")["status"] == "success"
    before = peers.addresses()
    ended = peers.deploy("two")
    assert ended["status"] == "success", ended["reason"]
    assert peers.addresses() == before and len(before) == 1, "the old one had stopped when the new one came"
    wait_for("an answer of the new one", lambda: "two" in peers.told())
