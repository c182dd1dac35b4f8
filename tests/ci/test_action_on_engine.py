"""The shipped action.yml on a real engine with a real registry: what is tested is what is pushed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.core.requests.deploy_request import parse_request
from testing.docker.docker_cli import wait_for
from testing.github.action_runner import RunResult, run_action
from testing.receiver.scripted_receiver import ID, DeployApi
from tests.ci.conftest import ROOT, Workflow, commit_all, git

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM nginx:alpine
ARG TITLE=none
RUN echo '::error::forged' && echo "$TITLE" >/title
CMD ["sh", "-c", "date >>/files/starts; echo '::set-output name=mode::deploy'; exec nginx -g 'daemon off;'"]
"""
COMPOSE = """services:
  web.front:
    image: ${PLACE}/front:${TAG:-latest}
    build: {context: ../front, args: {TITLE: "${TITLE:-unset}"}}
    container_name: ${PLACE_NAME}-front
    env_file: [{path: .env, required: false}]
    restart: always
    ports: ["127.0.0.1:${PORT}:80"]
    volumes: ["files:/files"]
    healthcheck: {test: ["CMD-SHELL", "${CHECK:-wget -qO- 127.0.0.1}"], interval: 1s, retries: 2, timeout: 2s}
  idle:
    build: ../front
    command: [sleep, "600"]
    stop_grace_period: 0s
volumes:
  files: {name: "${PLACE_NAME}-files"}
"""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class App:
    """A small application in a repository, and the runs of its workflow."""

    folder: Path
    registry: str
    name: str
    sha: str
    runs: int = 0

    @property
    def env(self) -> dict[str, str]:
        port = str(20_000 + int(self.name[-3:], 16))
        return {"PLACE": f"{self.registry}/{self.name}", "PLACE_NAME": self.name, "PORT": port}

    def run(self, event: str, ref: str, *, env: dict[str, str] | None = None, **inputs: str) -> RunResult:
        self.runs += 1
        given = {"registry": self.registry, "compose-file": "deploy/compose.yaml"}
        return run_action(
            ROOT,
            self.folder / "work",
            event,
            {"repository": {"full_name": f"{self.name}/Shop"}},
            ref,
            self.sha,
            {**given, **{name.replace("_", "-"): value for name, value in inputs.items()}},
            {
                **self.env,
                "HOME": str(self.folder),
                "DOCKER_HOST": os.environ["DOCKER_HOST"],
                "GITHUB_RUN_ID": self.run_id,
                **(env or {}),
            },
            self.folder / f"temp-{self.runs}",
        )

    @property
    def images(self) -> dict[str, str]:
        return {
            "web.front": f"{self.registry}/{self.name}/front",
            "idle": f"{self.registry}/{self.name}/shop-deploy-idle",
        }

    def manifest(self, service: str, reference: str) -> tuple[int, bytes]:
        """What the registry answers for one of the app's images."""
        path = self.images[service].removeprefix(f"{self.registry}/")
        request = urllib.request.Request(
            f"http://{self.registry}/v2/{path}/manifests/{reference}",
            headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    @property
    def run_id(self) -> str:
        return str(int(self.name[-8:], 16))

    def stacks(self) -> list[str]:
        """Containers, networks and volumes of the tests that this app's runs made."""
        lists = (
            docker(
                *words,
                "--filter",
                f"name=ci-{self.run_id}-",
                "--format",
                "{{.Names}}" if words[0] == "ps" else "{{.Name}}",
            )
            for words in (("ps", "-a"), ("network", "ls"), ("volume", "ls"))
        )
        return "\n".join(lists).split()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    registry = os.environ.get("DEPLOYER_TEST_REGISTRY")
    assert registry and os.environ.get("DOCKER_HOST"), 'needs an engine: eval "$(script/engine env)"'
    work = tmp_path / "work"
    for folder, file, text in (
        ("front", "Dockerfile", DOCKERFILE),
        ("deploy", "compose.yaml", COMPOSE),
        ("deploy", ".env.production", "TITLE=Shop from .env.production\n"),
    ):
        (work / folder).mkdir(parents=True, exist_ok=True)
        (work / folder / file).write_text(text)
    made = App(tmp_path, registry, f"app-{secrets.token_hex(4)}", commit_all(work))
    yield made
    found = docker(
        "images", "--filter", f"reference={registry}/{made.name}/*", "--format", "{{.Repository}}:{{.Tag}}"
    )
    if found:
        docker("image", "rm", "-f", *found.split())


def test_a_pull_request_is_built_and_tested_and_nothing_leaves_the_runner(app: App) -> None:
    result = app.run("pull_request", "refs/pull/7/merge")
    assert result.outcome == "success", result.log
    assert (result.outputs["mode"], result.outputs["status"]) == ("test", "success")
    assert [result.steps[id].outcome for id in ("test", "push", "deploy")] == [
        "success",
        "skipped",
        "skipped",
    ]
    assert "web.front: healthy" in result.log
    assert app.manifest("web.front", f"sha-{app.sha}")[0] == 404
    assert json.loads(result.outputs["images"])["web.front"]["digest"] == ""
    assert "| web.front |" in result.summary
    assert result.annotations == ()
    assert app.stacks() == []


def test_what_is_pushed_is_what_was_tested_and_names_its_source(app: App) -> None:
    result = app.run("push", "refs/heads/develop")
    assert result.outcome == "success", result.log
    for service, image in json.loads(result.outputs["images"]).items():
        assert image["image"] == app.images[service]
        status, manifest = app.manifest(service, image["digest"])
        assert status == 200
        assert image["digest"] == f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        found: dict[str, Any] = json.loads(docker("image", "inspect", f"{image['image']}:sha-{app.sha}"))[0]
        assert json.loads(manifest)["config"]["digest"] == found["Id"] == image["id"]
        labels = found["Config"]["Labels"]
        assert labels["org.opencontainers.image.revision"] == app.sha
        assert labels["org.opencontainers.image.source"] == f"https://github.com/{app.name}/Shop"
        assert labels["org.opencontainers.image.created"] == git(
            app.folder / "work", "show", "-s", "--format=%cI"
        )
        assert app.manifest(service, f"sha-{app.sha}")[1] == app.manifest(service, "develop")[1] == manifest
    title = docker("run", "--rm", f"{app.images['web.front']}:sha-{app.sha}", "cat", "/title")
    assert title == "Shop from .env.production"


def test_a_deploy_sends_every_digest_and_the_compose_file(app: App, api: DeployApi) -> None:
    result = app.run("push", "refs/heads/main", server=api.url, env=api.environment())
    assert result.outcome == "success", result.log
    assert (result.outputs["deployment-id"], result.outputs["status"]) == (ID, "success")
    (post,) = api.of("POST", "/deployments")
    request = parse_request(post.body)
    images = json.loads(result.outputs["images"])
    assert {name: str(image) for name, image in request.images.items()} == {
        name: image["ref"] for name, image in images.items()
    }
    assert (request.bundle.entry, request.bundle.files["deploy/compose.yaml"]) == (
        "deploy/compose.yaml",
        COMPOSE,
    )
    assert request.credentials is None


def test_an_unhealthy_image_stops_the_run_and_shows_its_log_as_text(app: App) -> None:
    result = app.run("push", "refs/heads/develop", env={"CHECK": "exit 1"})
    assert result.outcome == "failure"
    assert [result.steps[id].outcome for id in ("test", "push", "report")] == [
        "failure",
        "skipped",
        "success",
    ]
    (error,) = result.annotations
    assert "web.front is unhealthy" in error.text
    assert "::set-output name=mode::deploy" in result.log
    assert (result.outputs["mode"], result.outputs["status"]) == ("build", "failure")
    assert "web.front is unhealthy" in result.summary
    assert app.manifest("web.front", f"sha-{app.sha}")[0] == 404
    assert app.stacks() == []


def test_a_failing_build_is_one_error(app: App) -> None:
    (app.folder / "work/front/Dockerfile").write_text("FROM nginx:alpine\nRUN echo '::warning::x'; exit 7\n")
    result = app.run("push", "refs/heads/main", server="https://deploy.example.com", secret="webhook-secret")
    assert [step.outcome for step in result.steps.values()] == [
        "success", "success", "failure", "skipped", "skipped", "skipped", "skipped", "success",
    ]  # fmt: skip
    (error,) = result.annotations
    assert "exit code: 7" in error.text


def test_the_test_command_runs_in_the_checkout_with_the_images_and_without_tokens(
    app: App, api: DeployApi
) -> None:
    command = """
    test -f deploy/compose.yaml
    docker run --rm "$IMAGE_WEB_FRONT" cat /title
    env | grep -E '^(ACTIONS_|DEPLOYER_INPUT_|GITHUB_(OUTPUT|ENV|PATH|STATE)=)' && exit 9
    echo '::set-output name=status::success'
    false | true
    """
    result = app.run(
        "push", "refs/heads/main", server=api.url, env=api.environment(), test_command=command,
        registry_password="hush",
    )  # fmt: skip
    assert result.outcome == "failure"
    (error,) = result.annotations
    assert "test command ended with exit code 1" in error.text
    assert "Shop from .env.production" in result.log
    assert result.outputs["status"] == "failure"
    assert not api.of("POST", "/deployments")


def test_an_image_that_is_swapped_after_the_build_is_not_deployed(app: App, api: DeployApi) -> None:
    result = app.run(
        "push", "refs/heads/main", server=api.url, env=api.environment(),
        test_command='docker tag nginx:alpine "$IMAGE_WEB_FRONT"',
    )  # fmt: skip
    assert (result.steps["test"].outcome, result.steps["push"].outcome) == ("success", "failure")
    (error,) = result.annotations
    assert "not the image that was tested" in error.text
    assert not api.of("POST", "/deployments")
    assert app.manifest("web.front", f"sha-{app.sha}")[0] == 404, "nobody can pull what nobody tested"


def test_a_stack_that_runs_on_the_same_engine_is_not_touched(app: App) -> None:
    env = {**os.environ, **app.env}
    compose = ["docker", "compose", "-f", str(app.folder / "work/deploy/compose.yaml"), "-p", app.name]
    subprocess.run([*compose, "up", "-d", "--build", "web.front"], check=True, env=env, capture_output=True)
    try:
        live = docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", f"{app.name}-front")
        starts = docker("exec", f"{app.name}-front", "cat", "/files/starts")
        result = app.run("push", "refs/heads/topic", env={"COMPOSE_PROJECT_NAME": app.name})
        assert result.outcome == "success", result.log
        assert result.annotations == ()
        assert docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", f"{app.name}-front") == live
        assert docker("exec", f"{app.name}-front", "cat", "/files/starts") == starts
    finally:
        subprocess.run([*compose, "down", "-v", "-t", "0"], check=True, env=env, capture_output=True)


def test_a_login_is_used_masked_and_forgotten(app: App) -> None:
    result = app.run(
        "push", "refs/heads/develop", registry_username="dev", registry_password="a-registry-password",
        test_command='grep -r a-registry-password "$RUNNER_TEMP" && exit 9 || true',
    )  # fmt: skip
    assert result.outcome == "success", result.log
    assert "a-registry-password" not in result.log + result.summary + json.dumps(dict(result.outputs))
    assert not (app.folder / ".docker/config.json").exists()
    assert list((app.folder / "temp-1").glob("deployer-*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_cancelled_test_leaves_no_stack(app: App, run: Workflow, number: signal.Signals) -> None:
    run.env |= {
        **app.env,
        "DOCKER_HOST": os.environ["DOCKER_HOST"],
        "GITHUB_WORKSPACE": str(app.folder / "work"),
        "CHECK": "sleep 1; exit 1",
        "GITHUB_RUN_ID": app.run_id,
    }
    inputs = {"compose_file": "deploy/compose.yaml", "registry": app.registry}
    assert run.verb("build", **inputs).code == 0
    child = run.start("test")
    wait_for("the stack's start", app.stacks)
    child.send_signal(number)
    child.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert child.returncode == -number
        assert run.verb("report").code == 0
    else:
        assert child.returncode == 128 + number
    assert app.stacks() == []
