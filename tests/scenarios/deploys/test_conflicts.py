"""Several apps on one server: what two cannot both have is refused before anything is touched."""

from __future__ import annotations

import json
import socket

import pytest

from deployer.core.model import Bundle
from testing.docker.docker_cli import free_port
from testing.stage import Published, Stage, docker

pytestmark = pytest.mark.engine

TEXT = """
services:
  web:
    build: backend
    ports: ["%(port)s:3001"]
    expose: ["3001"]
    %(more)s
networks: {%(networks)s}
"""


def asked(stage: Stage, release: Published, port: int, more: str = "", networks: str = "") -> dict[str, str]:
    text = TEXT % {"port": port, "more": more, "networks": networks}
    status, answer = stage.request(
        release,
        images={"web": release.images["backend"]},
        bundle=Bundle("compose.yaml", {"compose.yaml": text}),
    )
    assert status == 202, answer
    return stage.finished(answer["id"], answer["read_token"])


def test_what_others_have_is_refused_with_a_code_and_touches_nothing(stage: Stage) -> None:
    workflow = f'project = "{stage.project}"'
    stage.reconfigure(workflow, f'{workflow}\nallow = ["network:{stage.project}-none"]')
    release = stage.publish("1.0.0")
    name, port = f"{stage.project}-other", free_port()
    docker("run", "-d", "--name", name, "-p", f"{port}:80", "nginx:alpine", "sleep", "600")
    try:
        with socket.create_server(("127.0.0.1", 0)) as process:
            taken = process.getsockname()[1]
            refusals = {
                "port-taken": asked(stage, release, port),
                "port-taken by a process": asked(stage, release, taken),
                "name-taken": asked(stage, release, free_port(), f"container_name: {name}"),
                "external-missing": asked(
                    stage,
                    release,
                    free_port(),
                    f"networks: [{stage.project}-none]",
                    f"{stage.project}-none: {{external: true}}",
                ),
            }
        for code, ended in refusals.items():
            assert ended["status"] == "failure" and f"[{code.split()[0]}]" in ended["reason"], ended["reason"]
        assert f"container {name} holds" in refusals["port-taken"]["reason"]
        assert "a process of this machine holds" in refusals["port-taken by a process"]["reason"]
        assert stage.containers() == []
        assert asked(stage, release, taken)["status"] == "success", "its holder has ended"
        assert asked(stage, release, taken, "environment: [A=1]")["status"] == "success", "it is our own"
        assert stage.cli("plan", "shop").returncode == 0
        mine = json.loads(docker("inspect", name))[0]
        assert mine["State"]["Running"]
    finally:
        docker("rm", "-f", name)
