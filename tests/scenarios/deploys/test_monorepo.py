"""Two applications of one repository, each with a service `web`: neither ever runs the other's image."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from testing.docker.docker_cli import free_port, remove_containers
from testing.github.events import OWNER_ID, REPOSITORY, REPOSITORY_ID
from testing.stage import Stage

pytestmark = pytest.mark.engine
APPS = ("shop", "admin")
OTHER_WORKFLOW = ".github/workflows/admin.yml"
COMPOSE = """services:
  web:
    {image}build: .
    ports: ["127.0.0.1:{port}:80"]
    stop_grace_period: 0s
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s}}
"""
DOCKERFILE = "FROM nginx:alpine\nCOPY index.html /usr/share/nginx/html/\n"


class Monorepo:
    """A stage with both applications."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ports = {app: free_port() for app in APPS}
        for app in APPS:
            (stage.source.folder / "apps" / app).mkdir(parents=True)
        self.revision = ""
        images = f'images = ["{stage.namespace}/shop-*"]'
        ours = f'images = ["{stage.registry}/acme/shop-*"]'
        admin = f"""
[apps.admin]
repository = "{REPOSITORY}"
repository-id = {REPOSITORY_ID}
owner-id = {OWNER_ID}
{ours}
webhook-secret-files = ["{stage.folder}/webhook.secret"]

[apps.admin.environments.production]
project = "{stage.project}-admin"
compose = "apps/admin/compose.yaml"
trust-tags = true
"""
        text = stage.config.read_text(encoding="utf-8").replace(images, ours)
        text = text.replace("trust-tags = true\n", 'trust-tags = true\ncompose = "apps/shop/compose.yaml"\n')
        stage.config.write_text(text + admin, encoding="utf-8")
        stage.reconfigure("[oidc]", "[oidc]")

    def commit(self, version: str, image: str = "") -> None:
        named = f"image: {image}\n    " if image else ""
        for app, port in self.ports.items():
            self.stage.source.write(f"apps/{app}/compose.yaml", COMPOSE.format(port=port, image=named))
            self.stage.source.write(f"apps/{app}/Dockerfile", DOCKERFILE)
            self.stage.source.write(f"apps/{app}/index.html", f"{app} {version}")
        self.revision = self.stage.source.commit(version)

    def act(self, app: str, branch: str) -> Any:
        self.stage.inputs = {"app": app, "compose-file": f"apps/{app}/compose.yaml"}
        return self.stage.act("push", branch)

    def serves(self, app: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[app]}/", timeout=5) as answer:
            return str(answer.read().decode())


@pytest.fixture
def monorepo() -> Iterator[Monorepo]:
    with Stage() as stage:
        yield Monorepo(stage)
        remove_containers(f"{stage.project}-admin")


@pytest.mark.case("H02")
def test_neither_app_gets_the_others_image_by_action_revision_or_webhook(monorepo: Monorepo) -> None:
    stage = monorepo.stage
    monorepo.commit("1")
    for app in APPS:
        run = monorepo.act(app, "main")
        assert run.outcome == "success", run.log
        assert f"acme/shop-apps-{app}-web" in run.outputs["tags"]
    assert [monorepo.serves(app) for app in APPS] == ["shop 1", "admin 1"]

    # Images that were built and not deployed, found by their tags, in either order of the pushes.
    monorepo.commit("2")
    for app in APPS:
        assert monorepo.act(app, "develop").outcome == "success"
    for app in APPS:
        done = stage.cli("deploy", app, "--revision", monorepo.revision)
        assert done.returncode == 0, done.stdout + done.stderr
    assert [monorepo.serves(app) for app in APPS] == ["shop 2", "admin 2"]

    monorepo.commit("3")
    for app in reversed(APPS):
        assert monorepo.act(app, "develop").outcome == "success"
    status, answer = stage.workflow_run(monorepo.revision, path=OTHER_WORKFLOW)
    assert status == 202 and answer["outcome"] == "queued", answer
    made = stage.cli("token", "create", "--app", "admin", "--can", "read", "--name", "ada")
    assert stage.finished(answer["id"], made.stdout.split()[-1])["status"] == "success"
    assert [monorepo.serves(app) for app in APPS] == ["shop 2", "admin 3"]


@pytest.mark.case("H02")
def test_an_image_name_that_two_compose_files_share_is_an_error_with_words(monorepo: Monorepo) -> None:
    stage = monorepo.stage
    monorepo.commit("1", f"{stage.registry}/acme/shop-{stage.project}")
    first = monorepo.act("shop", "develop")
    assert first.outcome == "success", first.log
    second = monorepo.act("admin", "develop")
    assert second.steps["push"].outcome == "failure"
    assert "was built for the Compose file 'apps/shop/compose.yaml'" in second.annotations[-1].text
    again = monorepo.act("shop", "develop")
    assert again.outcome == "success", again.log
    refused = stage.cli("deploy", "admin", "--revision", monorepo.revision)
    assert refused.returncode == 1 and "image-of-another" in refused.stdout
    assert stage.cli("deploy", "shop", "--revision", monorepo.revision).returncode == 0
    assert monorepo.serves("shop") == "shop 1"
