from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deployer.core.compose.file_access import check_file_access
from deployer.core.errors import ComposeRejected

SHAPES: dict[str, Callable[[str], Any]] = {
    "env_file": lambda path: {"services": {"web": {"env_file": path}}},
    "env_file listed": lambda path: {"services": {"web": {"env_file": ["a.env", {"path": path}]}}},
    "env_file optional": lambda path: {
        "services": {"web": {"env_file": {"path": path, "required": "false"}}}
    },
    "env_file of a profile": lambda path: {"services": {"web": {"profiles": ["x"], "env_file": path}}},
    "label_file": lambda path: {"services": {"web": {"label_file": [path]}}},
    "extends": lambda path: {"services": {"web": {"extends": {"file": path, "service": "x"}}}},
    "include": lambda path: {"include": [path]},
    "include alone": lambda path: {"include": path},
    "include listed": lambda path: {"include": [{"path": ["a.yaml", path]}]},
    "include env_file": lambda path: {"include": [{"path": "a.yaml", "env_file": [path]}]},
    "include project_directory": lambda path: {"include": [{"path": "a.yaml", "project_directory": path}]},
}
OUTSIDE = ("/etc/passwd", "../key", "a/../../key", "~/key", "./../key", "..", "a/b/../../../key")
VARIABLE = ("$HOME/key", "${HOME}/key", "./.${X:-.}/key", "env/${STAGE}.env", "a$$b", "${X", "$")


def judge(entry: str = "compose.yaml", /, **documents: Any) -> list[str]:
    """The files that were read as YAML, in order; `__` stands for `/`, `_` for `.`."""
    named = {name.replace("__", "/").replace("_", "."): document for name, document in documents.items()}
    files = {"a.env": "a.env", **{name: name for name in named}}
    read: list[str] = []

    def parse(name: str) -> list[Any]:
        read.append(name)
        return named[name] if isinstance(named[name], list) else [named[name]]

    check_file_access(entry, files, parse)
    return read


@pytest.mark.case("X03")
@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_path_that_leaves_the_repository_is_refused(path: str, shape: str) -> None:
    with pytest.raises(ComposeRejected, match=r"^compose\.yaml: .*is outside the repository"):
        judge(compose_yaml=SHAPES[shape](path), a_yaml={})


@pytest.mark.case("X03")
@pytest.mark.parametrize("path", VARIABLE)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_path_with_a_variable_is_refused_whatever_the_variable_holds(path: str, shape: str) -> None:
    with pytest.raises(ComposeRejected, match="has a variable in its path") as refused:
        judge(compose_yaml=SHAPES[shape](path), a_yaml={})
    assert "write the path out" in refused.value.hint


@pytest.mark.case("X03")
@pytest.mark.parametrize("shape", ["extends", "include", "include listed"])
@pytest.mark.parametrize(
    "path",
    [
        "oci://registry.example/evil:1",
        "https://github.com/acme/evil.git",
        "git@github.com:acme/evil.git#main:compose.yaml",
        "github.com/acme/evil",
        "ssh://git@host/evil.git",
    ],
)
def test_nothing_is_fetched_from_elsewhere(path: str, shape: str) -> None:
    with pytest.raises(ComposeRejected, match="is not a file of the repository"):
        judge(compose_yaml=SHAPES[shape](path), a_yaml={})


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"services": None},
        {"services": {"web": None}},
        {"services": {"web": {"env_file": {"path": None}, "label_file": None, "extends": None}}},
        {"services": {"web": {"env_file": [{"path": "a.env"}, "./a.env", "b/../a.env"], "extends": "base"}}},
        {"services": {"web": {"extends": {"service": "base"}}}, "include": None},
        {"services": {"web": {"env_file": {"path": "gone.env", "required": "false"}}}},
        {"services": {"web": {"env_file": {"path": "gone.env", "required": "${WITH_IT:-no}"}}}},
        {"services": {"web": {"profiles": ["debug"], "env_file": "gone.env"}}},
        {"x-note": {"include": "/etc/passwd"}, "services": {"web": {"environment": {"env_file": "/a"}}}},
    ],
)
def test_paths_inside_and_words_that_name_no_file_are_let_through(document: Any) -> None:
    assert judge(compose_yaml=document) == ["compose.yaml"]


@pytest.mark.parametrize(
    "shape", [name for name in SHAPES if not name.endswith(("optional", "profile", "y"))]
)
def test_a_file_that_did_not_come_is_refused_and_the_hint_says_what_to_do(shape: str) -> None:
    with pytest.raises(ComposeRejected, match=r"gone\.x is not among the files") as refused:
        judge(compose_yaml=SHAPES[shape]("gone.x"), a_yaml={})
    assert "commit the file" in refused.value.hint


@pytest.mark.case("H03")
def test_a_file_that_compose_does_not_read_is_not_read_as_yaml() -> None:
    documents: dict[str, Any] = {"compose_yaml": {"include": ["b.yaml"]}, "b_yaml": {}, "server_js": "no"}
    assert judge(**documents, tsconfig_json="no", unbound_conf="no") == ["compose.yaml", "b.yaml"]


@pytest.mark.case("X03", "H03")
def test_paths_start_from_the_folder_of_the_file_that_names_them() -> None:
    read = judge(
        "deploy/compose.yaml",
        deploy__compose_yaml={
            "include": [
                "../common.yaml",
                {"path": "more/c.yaml", "project_directory": "..", "env_file": "a.env"},
            ],
            "services": {"web": {"extends": {"file": "../base/base.yaml", "service": "web"}}},
        },
        deploy__a_env={},
        common_yaml={"services": {"db": {"env_file": "a.env"}}},
        deploy__more__c_yaml=[{"services": {"x": {"env_file": ["./d.env", "a.env"]}}}, None],
        deploy__more__d_env={},
        base__base_yaml={"services": {"web": {"env_file": "b.env", "extends": "deeper"}, "deeper": {}}},
        base__b_env={},
    )
    assert sorted(read) == ["base/base.yaml", "common.yaml", "deploy/compose.yaml", "deploy/more/c.yaml"]


@pytest.mark.case("X03")
@pytest.mark.parametrize(
    "base",
    [
        {"services": {"web": {"env_file": "../../key"}}},
        {"services": {"web": {"extends": "deeper"}, "deeper": {"label_file": "/etc/passwd"}}},
        {"services": {"web": {"extends": {"service": "deeper"}}, "deeper": {"env_file": "/etc/passwd"}}},
        {"services": {"web": {"extends": {"file": "again.yaml", "service": "x"}}}},
    ],
)
def test_a_chain_of_extends_is_followed_to_its_end(base: Any) -> None:
    with pytest.raises(ComposeRejected, match=r"^base/(base|again)\.yaml: .*is outside the repository"):
        judge(
            compose_yaml={"services": {"web": {"extends": {"file": "base/base.yaml", "service": "web"}}}},
            base__base_yaml=base,
            base__again_yaml={"services": {"x": {"env_file": "../../key"}}},
        )


def test_of_an_extended_file_only_the_service_that_is_asked_for_is_read() -> None:
    judge(
        compose_yaml={"services": {"web": {"extends": {"file": "base.yaml", "service": "web"}}}},
        base_yaml={
            "services": {"web": {}, "other": {"env_file": "not-collected.env"}},
            "include": ["gone.yaml"],
        },
    )


def test_a_circle_of_includes_ends() -> None:
    assert judge(compose_yaml={"include": ["b.yaml"]}, b_yaml={"include": ["compose.yaml", "b.yaml"]})


def test_a_release_without_its_entry_is_refused() -> None:
    with pytest.raises(ComposeRejected, match="no Compose file"):
        judge("deploy/compose.yaml", compose_yaml={})


@pytest.mark.case("X11")
def test_a_file_that_includes_itself_from_ever_new_folders_comes_to_an_end() -> None:
    with pytest.raises(ComposeRejected, match="more than 500 files"):
        judge(compose_yaml={"include": {"path": "compose.yaml", "project_directory": "deeper"}})
