"""Files of the repository that a container mounts: nobody can write them, and what a container of an older
deployer wrote is told and kept.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from testing.stage import Stage, docker
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, of, ship

pytestmark = pytest.mark.engine
FILE = "/etc/echo.conf"
WEB = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        {command}
        ports: ["{{port}}:3001"]
        volumes: ["./echo.conf:/etc/echo.conf"]
        {{check}}
"""
BROKEN = 'command: ["node", "-e", "process.exit(3)"]'


def append(stage: Stage, row: str) -> int:
    """The exit code of the service's container, which adds a line to the file as root."""
    (web,) = of(stage, "web")
    words = ["docker", "exec", "-u", "0", str(web["Id"]), "sh", "-c", f"echo {row} >> {FILE}"]
    return subprocess.run(words, capture_output=True, check=False).returncode


def as_an_older_deployer_made_it(stage: Stage) -> None:
    """The same container again with its mounts writable; that deployer had no copy for Compose alone."""
    (web,) = of(stage, "web")
    made: dict[str, Any] = web
    host = made["HostConfig"]
    host["Binds"] = [re.sub(r":ro\b", ":rw", text) for text in host.get("Binds") or ()]
    host["Mounts"] = [{**mount, "ReadOnly": False} for mount in host.get("Mounts") or ()]
    networks = made["NetworkSettings"]["Networks"].items()
    joined = {name: {"Aliases": settings["Aliases"]} for name, settings in networks}
    body = {**made["Config"], "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": joined}}
    docker("rm", "-f", made["Id"])
    client = APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto")
    client.start(client.create_container_from_config(body, made["Name"].lstrip("/")))
    client.close()
    for copy in (stage.state / "compose").rglob("echo.conf"):
        copy.unlink()


@pytest.mark.case("H09")
def test_what_an_older_deployers_container_wrote_is_told_and_kept(stage: Stage) -> None:
    stage.source.write("backend/server.js", ECHO)
    release = stage.publish("1.0.0")

    def deploy(mark: str, command: str = "") -> dict[str, object]:
        return ship(stage, release, WEB.format(mark=mark, command=command), echo_dot_conf="seed\n")

    assert deploy("one")["status"] == "success"
    assert append(stage, "row") != 0 and ask(stage)["config"] == "seed", "the mount is read-only"
    assert deploy("two")["status"] == "success"

    as_an_older_deployer_made_it(stage)
    assert append(stage, "first") == 0
    stage.cli("status")  # it unpacks the files of the release that serves
    assert append(stage, "second") == 0
    changed = deploy("three")
    assert changed["status"] == "success", changed["reason"]
    told = re.findall(rf"web wrote to {FILE}.* kept in (\S+):", stage.cli("show", str(changed["id"])).stdout)
    (kept,) = map(Path, told)
    assert kept.read_text() == "seed\nfirst\nsecond\n" and kept.is_relative_to(stage.state / "written")
    assert ask(stage) | {"host": ""} == {"host": "", "env": "three", "config": "seed"}

    assert deploy("bad", BROKEN)["status"] == "failure"
    assert stage.cli("rollback", "shop").returncode == 0
    assert ask(stage)["env"] == "two" and kept.read_text() == "seed\nfirst\nsecond\n"
    all_kept = [path for path in (stage.state / "written").rglob("*") if path.is_file()]
    assert all_kept == [kept], "nothing else counts as written"
