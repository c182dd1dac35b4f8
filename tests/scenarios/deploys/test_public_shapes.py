"""Compose files in the shapes that public projects have, with a real PostgreSQL, Redis and nginx: they
deploy, roll, are left alone by `docker compose up -d`, and go down.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from deployer.core.images import Image
from testing.docker.docker_cli import service_of, wait_for
from testing.docker.stack_image import build_stack
from testing.load.http_load import KEPT, NEW, Load
from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_by_hand import expect_nothing_left, lives
from tests.scenarios.deploys.test_compose_shapes import of, ship

pytestmark = [pytest.mark.engine, pytest.mark.long]

DATABASE = """
      db:
        image: {stack}
        command: ["database"]
        restart: always
        {db_more}
        volumes: ["db-data:/var/lib/postgresql/data"]
        healthcheck:
          test: ["CMD-SHELL", "pg_isready --username=shop --host=127.0.0.1"]
          interval: 1s
          timeout: 5s
          retries: 30
          start_period: 60s
"""
# A proxy with a static upstream before an API before a database; two networks, a secret, a mounted file.
PROXIED = (
    """
    services:
      proxy:
        image: {stack}
        command: ["nginx", "-g", "daemon off;"]
        restart: unless-stopped
        ports: ["{port}:80"]
        depends_on: [api]
        volumes: ["./proxy/nginx.conf:/etc/nginx/nginx.conf:ro"]
        networks: [front]
      api:
        build: backend
        command: ["sh", "-c", "app migrate && exec app web"]
        environment: {MARK: "${MARK}"}
        secrets: [db-password]
        depends_on: {db: {condition: service_healthy}}
        expose: ["8000"]
        networks: [front, back]
        healthcheck:
          test: ["CMD", "python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/state')"]
          interval: 2s
          retries: 20
          start_period: 60s
"""
    + DATABASE.replace(
        "{db_more}",
        "environment: {POSTGRES_PASSWORD_FILE: /run/secrets/db-password}\n"
        "        secrets: [db-password]\n        networks: [back]",
    )
    + """
    networks: {front: {}, back: {internal: true}}
    volumes: {db-data: {}}
    secrets: {db-password: {file: db/password.txt}}
"""
)
# An application with a name and data of its own beside its database, settings in an env_file.
NAMED = (
    """
    services:
      web:
        build: backend
        container_name: {project}-server
        command: ["sh", "-c", "app migrate && exec app web"]
        restart: always
        env_file: [server.env]
        environment: {MARK: "${MARK}"}
        volumes: ["server-data:/data"]
        ports: ["{port}:8000"]
        depends_on: {db: {condition: service_healthy, restart: true}}
"""
    + DATABASE.replace("{db_more}", "env_file: [server.env]")
    + """
    volumes: {server-data: {driver: local}, db-data: {}}
"""
)
# Analytics: migrations, an event store with a config file, workers, limits, a profile nobody asked for.
ANALYTICS = (
    """
    services:
      migrate:
        build: backend
        command: ["app", "migrate"]
        env_file: [app.env]
        environment: {MARK: "${MARK}"}
        depends_on: {db: {condition: service_healthy}}
      web:
        build: backend
        command: ["app", "web"]
        restart: on-failure
        env_file: [app.env]
        environment: {MARK: "${MARK}", EVENTS: "1"}
        ulimits: {nofile: {soft: 1024, hard: 1024}}
        ports: ["127.0.0.1:{port}:8000"]
        depends_on:
          migrate: {condition: service_completed_successfully}
          events: {condition: service_started}
      worker:
        build: backend
        command: ["app", "worker"]
        environment: {MARK: "${MARK}"}
        init: true
        deploy: {replicas: 2}
        depends_on: [events]
      events:
        image: {stack}
        command: ["redis-server", "/etc/events.conf"]
        restart: always
        configs: [{source: events, target: /etc/events.conf}]
        volumes: ["event-data:/data"]
        ulimits: {nofile: {soft: 1024, hard: 1024}}
      mail:
        image: {stack}
        profiles: [mail]
"""
    + DATABASE.replace("{db_more}", "env_file: [app.env]")
    + """
    volumes: {event-data: {}, db-data: {}}
    configs: {events: {file: events.conf}}
"""
)
NGINX = """\
events {}
http { server { listen 80; location / { proxy_pass http://api:8000; proxy_http_version 1.1; } } }
"""
ENV = "POSTGRES_PASSWORD=hunter22\nDB_PASSWORD=hunter22\n"
SHAPES = {
    "proxied": (PROXIED, {"proxy__nginx_dot_conf": NGINX, "db__password_dot_txt": "hunter22\n"}),
    "named": (NAMED, {"server_dot_env": ENV}),
    "analytics": (
        ANALYTICS,
        {"app_dot_env": ENV, "events_dot_conf": "bind 0.0.0.0\nprotected-mode no\ndir /data\n"},
    ),
}
SERVICES = {
    "proxied": ["api", "db", "proxy"],
    "named": ["db", "web"],
    "analytics": ["db", "events", "migrate", "web", "worker", "worker"],
}


@pytest.fixture
def stacks(stage: Stage) -> Iterator[list[Image]]:
    name = f"{stage.namespace}/shop-stack"
    yield [build_stack(stage.folder / "stack", f"{name}:{version}", version) for version in ("1", "2")]
    docker("compose", "-p", stage.project, "-f", str(saved(stage)), "down", "--volumes")
    expect_nothing_left(stage)
    label = f"label=com.docker.compose.project={stage.project}"
    assert docker("volume", "ls", "--quiet", "--filter", label) == ""


def saved(stage: Stage) -> Any:
    return stage.state / "projects" / stage.project / "compose.yaml"


def state(stage: Stage) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{stage.api_port}/state", timeout=10) as answer:
        found: dict[str, str] = json.loads(answer.read())
        return found


def deploy(stage: Stage, shape: str, image: Image, mark: str) -> None:
    stage.write_variables(MARK=mark)
    text, files = SHAPES[shape]
    stack = f"{stage.namespace}/shop-stack:1"
    text = text.replace("{stack}", stack).replace("{project}", stage.project)
    release = Published(stage.source.git("rev-parse", "HEAD"), {"backend": image})
    ended = ship(stage, release, text, **files)
    assert ended["status"] == "success", ended["reason"]


def expect_left_alone(stage: Stage, shape: str) -> None:
    before = lives(stage)
    tasks = {one["Id"] for one in of(stage, "migrate")}  # Compose starts what has ended once more
    docker("compose", "-p", stage.project, "-f", str(saved(stage)), "up", "-d")
    now = lives(stage)
    assert set(now) == set(before)
    assert {id: at for id, at in now.items() if id not in tasks} == {
        id: at for id, at in before.items() if id not in tasks
    }
    shown = docker("compose", "-p", stage.project, "ps", "--all", "--format", "{{.Service}}").split()
    edges = [one for one in stage.containers() if service_of(one) == "deployer-edge"]
    assert len(shown) - len(edges) == len(SERVICES[shape]), shown


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.alone
def test_a_public_shape_deploys_rolls_and_goes_down(stage: Stage, stacks: list[Image], shape: str) -> None:
    deploy(stage, shape, stacks[0], "one")
    first = wait_for("its state", lambda: state(stage))
    assert (first["mark"], first["rows"]) == ("one", "1")
    expect_left_alone(stage, shape)
    kept = {one["Id"] for name in ("db", "events", "proxy") for one in of(stage, name)}
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        deploy(stage, shape, stacks[1], "two")
    second = state(stage)
    assert second["mark"] == "two" and int(second["rows"]) > 1, "the database went on"
    assert kept <= {one["Id"] for one in stage.containers()}, "what did not change was not touched"
    lost = (load.report.lost(NEW), load.report.lost(KEPT))
    print(f"{shape}: lost {lost}, longest gap {load.report.gap_ms:.0f} ms")
    if shape == "named":
        assert second["starts"] == "xx", "its data went on, and no copy wrote to it"
    else:
        assert load.report.losses() == []
    expect_left_alone(stage, shape)
    names = [service_of(one) for one in stage.containers() if service_of(one) != "deployer-edge"]
    assert sorted(names) == SERVICES[shape]
