"""The test of the built images on a real engine, with Compose files that ask for more than a runner has."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.ci.conftest import Step, Workflow, commit_all

pytestmark = pytest.mark.engine

WEB = """
    build: .
    command: [sleep, "600"]
    stop_grace_period: 0s
"""


def listed(*words: str) -> list[str]:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.split()


@dataclass
class Stack:
    """A repository whose images are built; `test` runs them as the action does."""

    run: Workflow
    registry: str
    run_id: str

    def test(self, services: str, **env: str) -> Step:
        folder = self.run.workspace
        (folder / "compose.yaml").write_text(f"services:{services}")
        (folder / "Dockerfile").write_text("FROM nginx:alpine\n")
        commit_all(folder)
        self.run.env |= {"DOCKER_HOST": os.environ["DOCKER_HOST"], "GITHUB_RUN_ID": self.run_id, **env}
        built = self.run.verb("build", registry=self.registry)
        return self.run.verb("test") if built.code == 0 else built

    def left(self) -> list[str]:
        """Containers, networks and volumes of the test that are still there."""
        self.run.verb("report")
        of_run = ("--filter", f"name=ci-{self.run_id}-", "-q")
        return [
            one
            for words in (("ps", "-a"), ("network", "ls"), ("volume", "ls"))
            for one in listed(*words, *of_run)
        ]


@pytest.fixture
def stack(run: Workflow) -> Iterator[Stack]:
    registry = os.environ.get("DEPLOYER_TEST_REGISTRY")
    assert registry and os.environ.get("DOCKER_HOST"), 'needs an engine: eval "$(script/engine env)"'
    number = str(secrets.randbelow(10**9))
    place = f"{registry}/stack-{number}"
    run.env["GITHUB_REPOSITORY"] = f"stack-{number}/shop"
    yield Stack(run, registry, number)
    if made := set(
        listed("images", "--filter", f"reference={place}/*/*", "--format", "{{.Repository}}:{{.Tag}}")
    ):
        subprocess.run(["docker", "image", "rm", "-f", *made], check=True, capture_output=True)


def test_t1_what_only_the_server_has_is_left_out_of_the_test_and_named(stack: Stack) -> None:
    asks = """    devices: [/dev/ttyUSB0]
    cpuset: 0-4095
    deploy:
      resources:
        limits: {cpus: '4096'}
        reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}
"""
    tested = stack.test(f"\n  web:{WEB}{asks}")
    assert tested.code == 0, tested.log
    left_out = "cpuset, devices, deploy.resources.limits.cpus, deploy.resources.reservations.devices"
    assert f"web: tested without {left_out}" in tested.log
    assert stack.left() == []


@pytest.mark.parametrize("profiles", ["prod", "prod,test", "*"])
def test_t2_a_profile_of_the_job_leaves_nothing_behind(stack: Stack, profiles: str) -> None:
    services = f"""
  web:{WEB}
  agent:{WEB}    profiles: [prod]
  check:
    image: nginx:alpine
    profiles: [test]
    command: ["true"]
"""
    tested = stack.test(services, COMPOSE_PROFILES=profiles, COMPOSE_IGNORE_ORPHANS="1")
    assert tested.code == 0, tested.log
    assert "agent: started" in tested.log and "Test in check" in tested.raw
    assert not [one for one in tested.console.annotations if one.kind == "warning"]
    assert stack.left() == []


ENDS = """
    build: .
    command: [sh, -c, '%s']
    environment: {MODE: production, DATABASE_URL: "${DATABASE_URL:-}"}
"""


@pytest.mark.parametrize(
    ("services", "said", "hint"),
    [
        pytest.param(
            f"\n  web:{ENDS % 'echo Error: DATABASE_URL is not set; echo at main; exit 1'}",
            "web exited with code 1: Error: DATABASE_URL is not set",
            "DATABASE_URL has no value in the test",
            id="a variable that only the server has",
        ),
        pytest.param(
            f"\n  web:{WEB}    environment: {{A: '${{DB_PASS:?}}'}}\n",
            "required variable DB_PASS is missing a value",
            "env: {DB_PASS: …}",
            id="a required variable",
        ),
        pytest.param(
            f"\n  web:{WEB}    secrets: [key]\nsecrets: {{key: {{file: ./key.txt}}}}\n",
            "key.txt",
            "write the file in an earlier step",
            id="a secret's file",
        ),
        pytest.param(
            f"\n  web:{WEB.replace('sleep', 'no-such-program')}",
            "no-such-program",
            "look at command:, entrypoint: and the Dockerfile",
            id="a program that the image lacks",
        ),
        pytest.param(
            f"\n  web:{WEB}    healthcheck: {{test: echo no table; exit 1, interval: 1s, retries: 1}}\n",
            "web is unhealthy: no table",
            "its health check",
            id="a check that fails",
        ),
        pytest.param(
            f"\n  web:{WEB}\n  other: {{image: 127.0.0.1:5000/nobody/has-this}}\n",
            "127.0.0.1:5000/nobody/has-this",
            "registry-username",
            id="an image that cannot be had",
        ),
    ],
)
def test_t3_each_cause_has_its_own_hint(stack: Stack, services: str, said: str, hint: str) -> None:
    tested = stack.test(services)
    assert tested.code == 1, tested.log
    assert said in tested.error and hint in tested.error, tested.error
    assert "service_completed_successfully" not in tested.error
    assert stack.left() == []
