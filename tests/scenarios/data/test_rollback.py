"""Going back on the real engine: by itself, by hand and over HTTP, from what is here alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testing.docker.private_registry import PrivateRegistry
from testing.stage import Stage, docker, wait_for
from testing.user_repository import forget_here
from tests.scenarios.deploys.test_by_hand import lives
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, of, request_of, ship
from tests.scenarios.deploys.test_hooks import HOOKED, MIGRATE, ran

pytestmark = [pytest.mark.engine, pytest.mark.long]

MODEL = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}", WORD: "${{CORS_ORIGIN}}"}}
        ports: ["{{port}}:3001"]
        configs: [{{source: echo, target: /etc/echo.conf}}]
        {{check}}
    configs: {{echo: {{file: echo.conf}}}}
"""


@pytest.fixture
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateRegistry]:
    with PrivateRegistry(tmp_path) as registry:
        monkeypatch.setenv("DEPLOYER_TEST_REGISTRY", registry.host)
        yield registry


@pytest.fixture
def shop(own_registry: PrivateRegistry) -> Iterator[Stage]:
    with Stage() as made:
        yield made


def deployed(stage: Stage, mark: str) -> dict[str, Any]:
    """A release with an image, a model, a file and a variable of its own."""
    stage.write_variables(CORS_ORIGIN=f"https://{mark}.example.org")
    stage.source.write("backend/server.js", ECHO + f"// {mark}\n")
    release = stage.publish(mark)
    ended = ship(stage, release, MODEL.format(mark=mark), echo_dot_conf=mark)
    assert ended["status"] == "success", ended["reason"]
    return {"release": ended["release"], "images": release}


def expect(stage: Stage, mark: str, release: dict[str, Any]) -> None:
    (web,) = [c for c in stage.containers() if "-web-" in c["Name"]]
    assert ask(stage)["env"] == mark and ask(stage)["config"] == mark
    assert f"WORD=https://{mark}.example.org" in web["Config"]["Env"]
    assert web["Config"]["Image"] == str(release["images"].images["backend"])
    assert len(stage.containers()) == 2


def test_every_way_back_works_with_the_registry_stopped(shop: Stage, own_registry: PrivateRegistry) -> None:
    one, two = deployed(shop, "one"), deployed(shop, "two")
    own_registry.stop()
    broken = MODEL.format(mark="three").replace(
        "build: backend", "build: backend\n        command: [node, -e, x]"
    )
    ended = ship(shop, two["images"], broken, echo_dot_conf="three")
    assert ended["status"] == "failure" and "serves as before" in str(ended["reason"]), ended["reason"]
    expect(shop, "two", two)
    by_hand = shop.cli("rollback", "shop")
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    expect(shop, "one", one)
    token = shop.token("rollback,read")
    path = "/api/v1/apps/shop/production/rollback"
    status, answer = shop.post(path, token, {"release": two["release"]})
    assert status == 202, answer
    assert shop.finished(answer["id"], token)["status"] == "success"
    expect(shop, "two", two)
    forget_here(one["images"].images["backend"])
    before = lives(shop)
    failed = shop.cli("rollback", "shop", "--release", one["release"])
    assert failed.returncode == 1 and "registry-unavailable]" in failed.stdout, failed.stdout
    assert lives(shop) == before, "nothing was touched"
    expect(shop, "two", two)


def test_nothing_goes_back_after_a_hook_that_forbids_it_however_often_the_deployer_is_killed(
    stage: Stage,
) -> None:
    stage.source.write("backend/server.js", ECHO)
    echo = stage.publish("1.0.0")
    text = HOOKED.replace("{image}", str(echo.images["backend"]))
    text = text.replace(
        "order: start-first", "order: start-first\n          rollback: never-after-pre-deploy"
    )
    text = text.format(mark="{mark}", before=MIGRATE.format(nap=0))
    try:
        assert ship(stage, echo, text.replace("{mark}", "one"))["status"] == "success"
        (served,) = (one["Id"] for one in of(stage, "web"))
        silent = text.replace("{mark}", "two").replace(
            "build: backend", 'build: backend\n        command: ["sleep", "600"]'
        )
        status, answer = request_of(stage, echo, silent)
        assert status == 202
        for attempt in (1, 2, 3):
            told = f"attempt {attempt}"
            wait_for(told, partial(_tells, stage, answer["id"], told))
            wait_for("the new one beside the old", lambda: len(of(stage, "web")) == 2)
            wait_for("the hook's end", lambda: ran(stage).count("before two") == 1)
            stage.kill()
            stage.serve()
        ended = stage.finished(answer["id"], answer["read_token"])
        assert ended["status"] == "error" and "[interrupted]" in ended["reason"], ended["reason"]
        story = wait_for("its end", lambda: _restored(stage, answer["id"]))
        assert "forbids going back" in story
        assert ask(stage)["env"] == "one" and served in {one["Id"] for one in of(stage, "web")}
        assert ran(stage).count("before two") == 1 and "back" not in ran(stage)
    finally:
        for container in stage.containers():
            docker("rm", "-f", container["Id"])
        docker("volume", "rm", f"{stage.project}_ran")


def _tells(stage: Stage, id: str, word: str) -> bool:
    return word in stage.cli("show", id).stdout


def _restored(stage: Stage, id: str) -> str:
    lines = stage.cli("show", id).stdout.splitlines()
    return next((line for line in lines if " restored " in line), "")
