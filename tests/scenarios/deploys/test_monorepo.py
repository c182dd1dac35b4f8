"""Two applications of one repository, each with a service `web`: neither ever runs the other's image."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from testing.client import WORKFLOW
from testing.docker.docker_cli import free_port, remove_containers
from testing.github.events import OWNER_ID, REPOSITORY, REPOSITORY_ID
from testing.receiver.receiver_inputs import body_of, package_event
from testing.stage import Stage, docker

pytestmark = pytest.mark.engine
APPS = ("shop", "admin")
OTHER_WORKFLOW = ".github/workflows/admin.yml"
COMPOSE = """services:
  web:
    {image}build: .
    ports: ["127.0.0.1:{port}:80"]
    volumes: [{rows}]
    stop_grace_period: 0s
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s}}
volumes: {{rows: {{}}}}
"""
# Each start is written down; a version that is called bad cannot work with rows of others.
DOCKERFILE = r"""FROM nginx:alpine
COPY index.html /usr/share/nginx/html/
RUN mkdir /rows
CMD cd /usr/share/nginx/html; grep -q bad index.html && [ -s /rows/rows ] && exit 3; \
    echo "$(cat index.html)" >> /rows/rows; exec nginx -g 'daemon off;'
"""


class Monorepo:
    """A stage with both applications."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ports = {app: free_port() for app in APPS}
        for app in APPS:
            (stage.source.folder / "apps" / app).mkdir(parents=True)
        self.revision = ""
        self.keeps_rows = False  # on a volume
        self.shared = f'images = ["{stage.registry}/acme/shop-*"]'  # of both apps
        images = f'images = ["{stage.namespace}/shop-*"]'
        admin = f"""
[apps.admin]
repository = "{REPOSITORY}"
repository-id = {REPOSITORY_ID}
owner-id = {OWNER_ID}
{self.shared}
webhook-secret-files = ["{stage.folder}/webhook.secret"]

[apps.admin.environments.production]
project = "{stage.project}-admin"
compose = "apps/admin/compose.yaml"
trust-tags = true
"""
        text = stage.config.read_text(encoding="utf-8").replace(images, self.shared)
        text = text.replace("trust-tags = true\n", 'trust-tags = true\ncompose = "apps/shop/compose.yaml"\n')
        stage.config.write_text(text + admin, encoding="utf-8")
        stage.reconfigure("[oidc]", "[oidc]")

    def commit(self, version: str, image: str = "") -> None:
        fields = {
            "image": f"image: {image}\n    " if image else "",
            "rows": '"rows:/rows"' if self.keeps_rows else "",
        }
        for app, port in self.ports.items():
            self.stage.source.write(f"apps/{app}/compose.yaml", COMPOSE.format(port=port, **fields))
            self.stage.source.write(f"apps/{app}/Dockerfile", DOCKERFILE)
            self.stage.source.write(f"apps/{app}/index.html", f"{app} {version}")
        self.revision = self.stage.source.commit(version)

    def act(self, app: str, branch: str) -> Any:
        self.stage.inputs = {"app": app, "compose-file": f"apps/{app}/compose.yaml"}
        return self.stage.act("push", branch)

    def packages(self, *apps: str) -> None:
        """From now on images that GitHub announces may complete releases of these apps."""
        text = self.stage.config.read_text(encoding="utf-8")
        text = text.replace(f'workflow = "{WORKFLOW}"\n', "").replace("packages = true\n", "")
        for app in apps:
            line = f'compose = "apps/{app}/compose.yaml"\n'
            text = text.replace(line, f"{line}packages = true\n")
        self.stage.config.write_text(text, encoding="utf-8")
        self.stage.reconfigure("[oidc]", "[oidc]")

    def own_images(self) -> None:
        """From now on the image names of either app fit that app alone."""
        text = self.stage.config.read_text(encoding="utf-8")
        for app in APPS:
            text = text.replace(self.shared, self.shared.replace("shop-*", f"shop-apps-{app}-*"), 1)
        self.stage.config.write_text(text, encoding="utf-8")
        self.stage.reconfigure("[oidc]", "[oidc]")

    def announce(self, name: str, **changes: Any) -> dict[str, Any]:
        """GitHub's two events for one image of the commit; the answer to the first, as the second is the same
        release again.
        """
        changes = {"name": name, "commit": self.revision, "tag": f"sha-{self.revision}", **changes}
        first, again = (
            self.stage.deliver(event, body_of(package_event(event, **changes)))
            for event in ("registry_package", "package")
        )
        expected = "duplicate" if first[1]["outcome"] == "queued" else first[1]["outcome"]
        assert again[1]["outcome"] == expected, again
        return first[1]

    def ended(self, app: str, answer: dict[str, Any]) -> dict[str, Any]:
        """The end of a deployment of the app that an announcement started."""
        assert answer["outcome"] == "queued", answer
        made = self.stage.cli("token", "create", "--app", app, "--can", "read", "--name", f"ada-{app}")
        return self.stage.finished(answer["id"], made.stdout.split()[-1])

    def rows(self, app: str) -> list[str]:
        """The lines on the application's volume, one for each start of a container."""
        project = self.stage.project + ("-admin" if app == "admin" else "")
        told = docker("run", "--rm", "-v", f"{project}_rows:/rows", "nginx:alpine", "cat", "/rows/rows")
        return told.splitlines()

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


@pytest.mark.long
@pytest.mark.case("H02")
def test_a_change_a_bad_release_and_a_rollback_of_one_are_none_of_the_others(monorepo: Monorepo) -> None:
    """The rows on either volume are counted."""
    stage, monorepo.keeps_rows = monorepo.stage, True

    def deploy(version: str, *apps: str) -> list[int]:
        monorepo.commit(version)
        for app in apps:
            assert monorepo.act(app, "develop").outcome == "success"
        return [stage.cli("deploy", app, "--revision", monorepo.revision).returncode for app in apps]

    assert deploy("1", *APPS) == [0, 0]
    assert deploy("2", "shop") == [0]
    assert monorepo.rows("shop") == ["shop 1", "shop 2"]
    assert deploy("bad", "shop") == [1]
    assert [monorepo.serves(app) for app in APPS] == ["shop 2", "admin 1"]
    assert monorepo.rows("shop") == ["shop 1", "shop 2", "shop 2"], "the good one was started again"
    assert stage.cli("rollback", "shop").returncode == 0
    assert [monorepo.serves(app) for app in APPS] == ["shop 1", "admin 1"]
    assert monorepo.rows("shop") == ["shop 1", "shop 2", "shop 2", "shop 1"]
    assert monorepo.rows("admin") == ["admin 1"]


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


@pytest.mark.long
@pytest.mark.case("H02")
def test_an_announced_image_completes_the_release_of_its_own_app_alone(monorepo: Monorepo) -> None:
    """Images that fit both apps, of which both or one take packages; then each app its own images."""
    stage = monorepo.stage
    monorepo.commit("1")
    assert monorepo.act("shop", "develop").outcome == "success"
    monorepo.packages(*APPS)
    unclear = monorepo.announce("shop-apps-shop-web")
    assert unclear["outcome"] == "ignored" and "fits admin/production, shop/production" in unclear["reason"]
    assert "`images`" in unclear["reason"], "the way out is told"

    monorepo.packages("admin")
    partial = monorepo.announce("shop-apps-shop-web")
    assert partial["outcome"] == "ignored" and "shop-apps-admin-web" in partial["reason"], partial
    assert monorepo.act("admin", "develop").outcome == "success"
    assert monorepo.ended("admin", monorepo.announce("shop-apps-admin-web"))["status"] == "success"
    assert monorepo.announce("shop-apps-shop-web")["outcome"] == "duplicate"
    assert monorepo.serves("admin") == "admin 1" and not stage.containers(), "shop has no release yet"

    monorepo.packages(*APPS)
    monorepo.own_images()
    own = monorepo.announce("shop-apps-shop-web", tag="latest")
    assert monorepo.ended("shop", own)["status"] == "success"
    assert [monorepo.serves(app) for app in APPS] == ["shop 1", "admin 1"]
    history = json.loads(stage.cli("history", "admin", "--json").stdout)
    assert [row["status"] for row in history] == ["success"], "one deployment of its own"


@pytest.mark.case("H02")
def test_an_announced_image_that_two_compose_files_share_is_its_makers_alone(monorepo: Monorepo) -> None:
    stage = monorepo.stage
    name = f"shop-{stage.project}"
    monorepo.commit("1", f"{stage.registry}/acme/{name}")
    assert monorepo.act("shop", "develop").outcome == "success"
    monorepo.packages("admin")
    other = monorepo.announce(name)
    assert other["outcome"] == "ignored" and "apps/shop/compose.yaml" in other["reason"], other
    assert json.loads(stage.cli("history", "admin", "--json").stdout) == []
    monorepo.packages("shop")
    assert monorepo.ended("shop", monorepo.announce(name))["status"] == "success"
    assert monorepo.serves("shop") == "shop 1"
