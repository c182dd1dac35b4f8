"""Trees from the disk: what a build is given changes them, what it does not see does not."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.ci.images.build_hashes import hash_folder, hash_path, read_trees
from deployer.core.build.dockerignore import Ignore, parse_ignore
from testing.docker.docker_cli import docker
from tests.ci.conftest import commit_all
from tests.core.build.test_dockerignore import ROWS


@pytest.fixture
def target(tmp_path: Path) -> dict[str, Any]:
    for name in ("web/src/a.js", "web/docs/b.md", "lib/c.js", "docker/web.Dockerfile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "web/.dockerignore").write_text("docs\n*.log\n")
    (tmp_path / "web/link").symlink_to("src/a.js")
    return {
        "context": str(tmp_path / "web"),
        "dockerfile": "../docker/web.Dockerfile",
        "contexts": {"lib": str(tmp_path / "lib"), "base": "docker-image://alpine:3"},
    }


def tree(target: dict[str, Any], **others: dict[str, Any]) -> str:
    return read_trees({"web": target, **others})["web"]


def replace_link(top: Path) -> None:
    (top / "web/link").unlink()
    (top / "web/link").symlink_to("src/b.js")


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "web/src/a.js").write_text("other"),
        lambda top: (top / "web/src/new.js").write_text(""),
        lambda top: (top / "web/src/a.js").rename(top / "web/src/z.js"),
        lambda top: (top / "web/src/a.js").chmod(0o755),
        lambda top: (top / "web/empty").mkdir(),
        replace_link,
        lambda top: (top / "lib/c.js").write_text("other"),
        lambda top: (top / "docker/web.Dockerfile").write_text("FROM scratch"),
        lambda top: (top / "web/.dockerignore").write_text(""),
        lambda top: (top / "docker/web.Dockerfile.dockerignore").write_text("src"),
    ],
)
def test_what_the_build_sees_changes_the_tree(
    tmp_path: Path, target: dict[str, Any], change: Callable[[Path], object]
) -> None:
    before = tree(target)
    assert len(before) == 64
    change(tmp_path)
    assert tree(target) not in (before, "")


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "web/docs/b.md").write_text("other"),
        lambda top: (top / "web/x.log").write_text("other"),
        lambda top: (top / "readme").write_text("outside"),
        lambda top: os.utime(top / "web/src/a.js", (1, 1)),
        lambda top: commit_all(top / "web"),
    ],
)
def test_what_the_build_does_not_see_does_not(
    tmp_path: Path, target: dict[str, Any], change: Callable[[Path], object]
) -> None:
    before = tree(target)
    change(tmp_path)
    assert tree(target) == before


def test_the_same_files_elsewhere_are_the_same_tree(tmp_path: Path, target: dict[str, Any]) -> None:
    before = tree(target)
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    text = json.dumps(target).replace(f"{tmp_path}/", f"{moved}/")
    assert tree(json.loads(text)) == before


def test_a_context_that_is_another_target_has_its_tree(tmp_path: Path, target: dict[str, Any]) -> None:
    api = {"context": str(tmp_path / "lib"), "dockerfile-inline": "FROM scratch"}
    target["contexts"]["api"] = "target:api"
    before = tree(target, api=api)
    assert before
    (tmp_path / "lib/c.js").write_text("other")
    assert tree(target, api=api) != before
    assert tree(target) == ""  # nobody says what `api` is
    target["contexts"]["api"] = "target:web"
    assert tree(target) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"context": "https://github.com/acme/shop.git"},
        {"context": "/nowhere"},
        {"dockerfile": "missing"},
        {"contexts": {"lib": "/nowhere"}},
    ],
)
def test_what_cannot_be_read_has_no_tree(target: dict[str, Any], changes: dict[str, Any]) -> None:
    assert tree({**target, **changes}) == ""


@pytest.mark.parametrize("rules", [b"[a", b"\xff"])
def test_rules_that_docker_refuses_give_no_tree(tmp_path: Path, target: dict[str, Any], rules: bytes) -> None:
    (tmp_path / "web/.dockerignore").write_bytes(rules)
    assert tree(target) == ""


def test_a_name_that_is_not_text_has_a_hash(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("x")
    os.mkfifo(tmp_path / "pipe")
    assert len(hash_folder(tmp_path, Ignore())) == 64


def test_a_path_is_a_file_a_folder_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert len({hash_path(tmp_path), hash_path(tmp_path / "a"), hash_path(tmp_path / "none")}) == 3
    assert hash_path(tmp_path / "none") == ""


@pytest.mark.engine
def test_docker_itself_hides_the_same_files(tmp_path: Path) -> None:
    """Every row of the table, as a build of its own that copies its whole context."""
    names = [
        "a/b/c",
        "a/c",
        "b/x",
        "ax",
        "x.md",
        "d/x.md",
        "d/e/x.md",
        "abc",
        "a.c",
        "md",
        "xmd",
        "d/md",
        "#a",
    ]
    names += ["a*b", "axb", "a+(b)", "a/b/b/c", "bx"]
    texts = [text for text in dict.fromkeys(text for text, _, _ in ROWS) if text != "*"]
    bake: dict[str, Any] = {"target": {}}
    for number, text in enumerate(texts):
        context = tmp_path / f"c{number}"
        for name in names:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            if not (context / name).is_dir():
                (context / name).write_text(name)
        (tmp_path / f"D{number}").write_text("FROM scratch\nCOPY . /\n")
        (tmp_path / f"D{number}.dockerignore").write_text(text)
        bake["target"][f"t{number}"] = {
            "context": str(context),
            "dockerfile": str(tmp_path / f"D{number}"),
            "output": [f"type=tar,dest={tmp_path}/{number}.tar"],
        }
    (tmp_path / "bake.json").write_text(json.dumps(bake))
    docker("buildx", "bake", "-f", str(tmp_path / "bake.json"), *bake["target"])
    for number, text in enumerate(texts):
        ignore = parse_ignore(text)
        assert ignore is not None
        with tarfile.open(tmp_path / f"{number}.tar") as tar:
            seen = {member.name for member in tar if member.isfile()}
        assert seen == {name for name in names if not ignore.hides(name)}, text
