"""Names by which peers reach a service behind the real edge."""

from __future__ import annotations

import re

import pytest

from testing.docker.compose_project import deployed_project
from testing.docker.docker_cli import service_of
from testing.load.http_load import Load
from testing.stage import Stage, docker
from tests.scenarios.deploys.test_compose_shapes import of

pytestmark = pytest.mark.engine
SERVER = """\
const http = require('node:http');
const server = http.createServer((_, response) => response.end('MARK\\n'));
setTimeout(() => server.listen(8080), 300);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
DOCKERFILE = 'FROM node:20-alpine\nCOPY server.js .\nCMD ["node", "server.js"]\n'
SITE = "server { listen 80; location / { proxy_pass http://NAME:8080; } }\n"
COMPOSE = """\
services:
  front:
    build: front
    ports: ["{port}:80"]
    depends_on: [api]
    LINKS
  api:
    build: api
    expose: ["8080"]
    healthcheck: {test: ["CMD", "wget", "-qO-", "http://127.0.0.1:8080/"], interval: 1s}
    NAMES
networks: {default: {}}
"""
FIXED = "container_name: PROJECT-fixed\n    x-deployer: {order: start-first}"
VARIANTS = {
    "the service's own name as host name": ("api", "hostname: api", ""),
    "another host name": ("backend.internal", "hostname: backend.internal", ""),
    "an alias": ("backend", "networks: {default: {aliases: [backend]}}", ""),
    "a fixed container name": ("PROJECT-fixed", FIXED, ""),
    "a link": ("api", "", "links: [api]"),
    "a link with a name": ("db", "", "links: ['api:db']"),
}


def files(project: str, variant: tuple[str, str, str], mark: str) -> dict[str, str]:
    name, names, links = variant
    text = COMPOSE.replace("LINKS", links).replace("NAMES", names)
    return {
        "api/Dockerfile": DOCKERFILE,
        "api/server.js": SERVER.replace("MARK", mark),
        "front/Dockerfile": "FROM nginx:alpine\nCOPY site.conf /etc/nginx/conf.d/default.conf\n",
        "front/site.conf": SITE.replace("NAME", name).replace("PROJECT", project),
        "compose.yaml": text.replace("PROJECT", project),
    }


def addresses(stage: Stage, name: str) -> set[str]:
    """What the engine's DNS tells a peer for a name."""
    (front,) = of(stage, "front")
    return set(
        re.findall(r"^([0-9.]+)\s", docker("exec", str(front["Id"]), "getent", "ahostsv4", name), re.M)
    )


@pytest.mark.alone
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_edge_e4_every_name_of_a_service_is_the_edges(stage: Stage, variant: tuple[str, str, str]) -> None:
    name = variant[0].replace("PROJECT", stage.project)
    deployed_project(stage, files(stage.project, variant, "one"))
    (edge,) = (one for one in stage.containers() if service_of(one) == "deployer-edge")
    (network,) = edge["NetworkSettings"]["Networks"].values()
    with Load(f"http://127.0.0.1:{stage.api_port}/", new=50, kept=50) as load:
        deployed_project(stage, files(stage.project, variant, "two"))
        assert addresses(stage, name) == {network["IPAddress"]}
        deployed_project(stage, files(stage.project, variant, "three"))
    assert load.report.losses() == [] and load.report.first("three") is not None
    assert addresses(stage, name) == {network["IPAddress"]}
    assert stage.cli("status").returncode == 0
