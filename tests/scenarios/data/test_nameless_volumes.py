"""Volumes without a name: what an application keeps in them outlives every deploy."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import of, ship

pytestmark = pytest.mark.engine
# It appends a line for /append, and answers how many there are. BROKEN ends it when its copy was long over.
KEEPER = """\
import fs from 'node:fs';
import http from 'node:http';
const file = (process.env.FOLDER || '/data') + '/lines';
if (process.env.BROKEN) setTimeout(() => process.exit(3), 1500);
const server = http.createServer((request, response) => {
  fs.appendFileSync(file, request.url === '/append' ? 'x\\n' : '');
  const lines = fs.readFileSync(file, 'utf8').split('\\n').length - 1;
  response.end(JSON.stringify({ lines, mark: process.env.MARK }) + '\\n');
});
if (!process.env.BROKEN) server.listen(3001);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
DOCKERFILE = """\
FROM node:20-alpine
WORKDIR /app
COPY . .
{volume}
CMD ["node", "server.js"]
"""
WEB = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}", BROKEN: "{broken}"}}
        ports: ["{{port}}:3001"]
        healthcheck: {{test: "wget -qO- http://127.0.0.1:3001/", interval: 1s, start_period: 30s}}
        x-deployer: {{drain-timeout: 5s{more}}}
        {volumes}
"""


def publish(stage: Stage, volume: str = "VOLUME /data /tmp", version: str = "1.0.0") -> Published:
    stage.source.write("backend/server.js", KEEPER)
    stage.source.write("backend/Dockerfile", DOCKERFILE.format(volume=volume))
    return stage.publish(version)


def web(mark: str, broken: str = "", more: str = "", volumes: str = "") -> str:
    return WEB.format(mark=mark, broken=broken, more=more, volumes=volumes)


def ask(stage: Stage) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{stage.api_port}/append", timeout=10) as answer:
        told = json.loads(answer.read())
        return int(told["lines"]), str(told["mark"])


def volumes_of(stage: Stage) -> dict[str, str]:
    """Path → name of the volumes of the one replica."""
    (made,) = of(stage, "web")
    mounts: list[dict[str, str]] = made["Mounts"]  # type: ignore[assignment]
    return {mount["Destination"]: mount["Name"] for mount in mounts}


def orphans(stage: Stage, since: float) -> set[str]:
    """Volumes that are there, were mounted in a container of the project, and are in none now."""
    span = ("--since", str(since), "--until", str(time.time()))
    events = [json.loads(line) for line in docker("events", *span, "--format", "{{json .}}").splitlines()]
    label = "com.docker.compose.project"
    ours = {e["id"] for e in events if e["Actor"]["Attributes"].get(label) == stage.project and "id" in e}
    mounted = {
        event["Actor"]["ID"]
        for event in events
        if event["Type"] == "volume" and event["Actor"]["Attributes"].get("container") in ours
    }
    assert mounted, "the engine tells of mounts"
    in_use = {mount.get("Name") for one in stage.containers() for mount in one["Mounts"]}
    return (mounted & set(docker("volume", "ls", "-q").split())) - in_use


@pytest.mark.case("H06")
@pytest.mark.long
@pytest.mark.parametrize(
    ("image", "volumes", "more"),
    [
        ("VOLUME /data /tmp", "", ""),
        ("RUN mkdir /data", 'volumes: ["/data"]', ""),
        ("VOLUME /data", "", ", order: start-first"),
    ],
    ids=["image", "file", "start-first"],
)
def test_data_outlives_a_change_a_bad_release_and_a_rollback(
    stage: Stage, image: str, volumes: str, more: str
) -> None:
    release, began = publish(stage, image), time.time()

    def deploy(mark: str, broken: str = "") -> dict[str, object]:
        return ship(stage, release, web(mark, broken, more, volumes))

    assert deploy("one")["status"] == "success"
    assert [ask(stage)[0] for _ in range(3)] == [1, 2, 3]
    before = volumes_of(stage)["/data"]
    assert deploy("two")["status"] == "success"
    assert ask(stage) == (4, "two")
    bad = deploy("three", broken="yes")
    assert bad["status"] == "failure" and "serves as before" in str(bad["reason"]), bad
    assert ask(stage) == (5, "two")
    assert stage.cli("rollback", "shop").returncode == 0
    assert ask(stage) == (6, "one")
    assert volumes_of(stage)["/data"] == before
    assert orphans(stage, began) == set()


@pytest.mark.case("H06")
def test_data_of_a_container_that_ended_by_itself_goes_on(stage: Stage) -> None:
    release = publish(stage)
    assert ship(stage, release, web("one"))["status"] == "success"
    assert [ask(stage)[0] for _ in range(3)] == [1, 2, 3]
    (made,) = of(stage, "web")
    docker("kill", str(made["Id"]))
    assert ship(stage, release, web("two"))["status"] == "success"
    assert ask(stage) == (4, "two")


@pytest.mark.case("H06")
def test_data_at_a_path_that_a_release_drops_comes_back_with_the_path(stage: Stage) -> None:
    with_it = 'volumes: ["/data"]'
    release = publish(stage, "RUN mkdir /data")
    assert ship(stage, release, web("one", volumes=with_it))["status"] == "success"
    assert [ask(stage)[0] for _ in range(3)] == [1, 2, 3]
    assert ship(stage, release, web("two"))["status"] == "success"
    assert ask(stage) == (1, "two"), "as with Compose, the path is the image's own"
    assert ship(stage, release, web("three", volumes=with_it))["status"] == "success"
    assert ask(stage) == (4, "three")


@pytest.mark.case("H06")
def test_a_failed_first_release_leaves_no_volume(stage: Stage) -> None:
    release, began = publish(stage), time.time()
    ended = ship(stage, release, web("one", broken="yes"))
    assert ended["status"] == "failure", ended
    assert of(stage, "web") == []
    assert orphans(stage, began) == set()


TASK = """
    services:
      migrate:
        build: backend
        command: ["node", "-e", "require('fs').writeFileSync('/data/x', '{mark}')"]
      web:
        build: backend
        depends_on: {{migrate: {{condition: service_completed_successfully}}}}
        ports: ["{{port}}:3001"]
"""


@pytest.mark.case("H06")
def test_a_tasks_volumes_go_with_it(stage: Stage) -> None:
    release, began = publish(stage), time.time()
    for mark in ("one", "two"):
        assert ship(stage, release, TASK.format(mark=mark))["status"] == "success"
    assert orphans(stage, began) == set()


@pytest.mark.case("H09")
def test_a_tracked_file_of_data_is_refused_before_anything_is_touched_and_a_configuration_is_not(
    stage: Stage,
) -> None:
    release = publish(stage, "RUN mkdir /data")
    conf = web("one", volumes='volumes: ["./site.conf:/etc/site.conf"]')
    assert ship(stage, release, conf, site_dot_conf="a: b")["status"] == "success"
    (before,) = of(stage, "web")
    data = web("two", volumes='volumes: ["./acme.json:/data/acme.json"]')
    ended = ship(stage, release, data, acme_dot_json="{}")
    assert ended["status"] == "failure" and "acme.json to write it" in str(ended["reason"]), ended
    (after,) = of(stage, "web")
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]  # type: ignore[index]
