"""What makes a test another test: everything it depends on, and nothing that is secret or only a place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.ci.github.inputs import Context
from deployer.ci.images.build_cache import combine
from deployer.core.model import Run
from tests.ci.conftest import commit_all

TREES = {"web": "a" * 64, "api": "b" * 64}


def context(workspace: Path, revision: str = "c" * 40) -> Context:
    return Context(
        "push",
        "refs/heads/main",
        revision,
        "acme/shop",
        "https://github.com",
        "ada",
        "1",
        Run(1, 1),
        workspace,
    )


def model(workspace: Path) -> dict[str, Any]:
    return {
        "services": {
            "web": {
                "build": {"context": f"{workspace}/web"},
                "image": "ghcr.io/acme/web:1",
                "environment": {"MODE": "a", "DB_PASSWORD": "hush", "URL": "postgres://u:hush@db/x"},
                "volumes": [{"type": "bind", "source": f"{workspace}/conf", "target": "/conf"}],
                "ports": [{"target": 80, "published": "8080"}],
            },
            "api": {"build": {"context": f"{workspace}/api"}},
        },
        "configs": {"site": {"file": f"{workspace}/site.conf"}},
        "secrets": {"token": {"environment": "TOKEN"}},
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("conf/a", "site.conf", "readme"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    commit_all(tmp_path)
    return tmp_path


Change = Callable[[dict[str, Any], Path], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda table, _: table["services"]["web"].update(image="ghcr.io/acme/web:2"),
        lambda table, _: table["services"]["web"].update(ports=[]),
        lambda table, _: table["services"]["web"]["environment"].update(DB_PASSWORD="other"),
        lambda table, _: table["services"]["web"]["environment"].update(URL="postgres://u:other@db/x"),
        lambda _, top: (top / "readme").write_text("other"),
    ],
)
def test_secrets_and_claims_on_the_host_change_nothing(workspace: Path, change: Change) -> None:
    before = combine(context(workspace), model(workspace), TREES)
    table = copy.deepcopy(model(workspace))
    change(table, workspace)
    assert combine(context(workspace, "d" * 40), table, TREES) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda table, _: table["services"]["web"]["environment"].update(MODE="b"),
        lambda table, _: table["services"]["web"].update(command=["x"]),
        lambda table, _: table["services"]["api"].update(healthcheck={"test": ["CMD", "true"]}),
        lambda table, _: table["services"].update(db={"image": "postgres:17"}),
        lambda _, top: (top / "conf/a").write_text("other"),
        lambda _, top: (top / "conf/b").write_text("new"),
        lambda _, top: (top / "site.conf").write_text("other"),
    ],
)
def test_what_the_containers_are_given_makes_another_test(workspace: Path, change: Change) -> None:
    before = combine(context(workspace), model(workspace), TREES)
    table = copy.deepcopy(model(workspace))
    change(table, workspace)
    assert combine(context(workspace), table, TREES) != before


def test_another_image_is_another_test_and_an_unknown_one_is_none(workspace: Path) -> None:
    before = combine(context(workspace), model(workspace), TREES)
    assert len(before) == 64
    assert combine(context(workspace), model(workspace), {**TREES, "api": "e" * 64}) != before
    assert combine(context(workspace), model(workspace), {**TREES, "api": ""}) == ""


def test_a_command_reads_every_tracked_file(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {combine(context(workspace), model(workspace), TREES)}
    for command, service in (("npm test", ""), ("npm run e2e", ""), ("npm test", "api")):
        monkeypatch.setenv("DEPLOYER_INPUT_TEST_COMMAND", command)
        monkeypatch.setenv("DEPLOYER_INPUT_TEST_SERVICE", service)
        seen.add(combine(context(workspace), model(workspace), TREES))
    (workspace / "readme").write_text("other")
    seen.add(combine(context(workspace), model(workspace), TREES))
    (workspace / "untracked").write_text("made by the test itself")
    seen.add(combine(context(workspace), model(workspace), TREES))
    assert len(seen) == 5


def test_the_same_checkout_elsewhere_is_the_same_test(workspace: Path) -> None:
    before = combine(context(workspace), model(workspace), TREES)
    moved = workspace.with_name(workspace.name + "-moved")
    workspace.rename(moved)
    assert combine(context(moved), model(moved), TREES) == before
