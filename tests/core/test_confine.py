from __future__ import annotations

from typing import Any

import pytest

from deployer.core.confine import refuse_outside
from deployer.core.errors import ComposeRejected

OUTSIDE = ("/etc/passwd", "../key", "a/../../key", "~/key", "$HOME/key", "${HOME}/key")


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize(
    "shape",
    [
        lambda path: {"services": {"web": {"env_file": path}}},
        lambda path: {"services": {"web": {"env_file": ["a.env", {"path": path, "required": False}]}}},
        lambda path: {"services": {"web": {"label_file": [path]}}},
        lambda path: {"services": {"web": {"extends": {"file": path, "service": "x"}}}},
        lambda path: {"include": [path]},
        lambda path: {"include": [{"path": ["a.yaml", path]}]},
        lambda path: {"include": [{"path": "a.yaml", "env_file": path}]},
        lambda path: {"include": [{"path": "a.yaml", "project_directory": path}]},
    ],
)
def test_what_the_server_would_read_outside_the_repository_is_refused(path: str, shape: Any) -> None:
    with pytest.raises(ComposeRejected, match="is outside the repository"):
        refuse_outside(shape(path), {})


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"services": None},
        {"services": {"web": None}},
        {"services": {"web": {"env_file": 7, "label_file": None}}, "include": True},
        {"services": {"web": {"env_file": [{"path": "a.env"}]}}, "include": [{"path": "b.yaml"}]},
        {"services": {"web": {"env_file": [".env", "env/${STAGE}.env"], "extends": "base"}}},
        {"services": {"web": {"extends": {"service": "base"}}}, "include": ["./other/compose.yaml"]},
    ],
)
def test_what_is_inside_is_let_through(document: Any) -> None:
    refuse_outside(document, {"STAGE": "blue", "OTHER": "../x"})


@pytest.mark.parametrize("value", ["../../etc/deployer/shop.env", "/etc/passwd", "..", "a/b"])
@pytest.mark.parametrize("path", ["env/${STAGE}.env", "env/$STAGE", "env/${STAGE:-blue}", "e${STAGE?x}"])
def test_a_variable_cannot_lead_out_of_the_repository(path: str, value: str) -> None:
    document = {"services": {"web": {"env_file": path}}}
    refuse_outside(document, {"STAGE": "blue"})
    with pytest.raises(ComposeRejected, match="is outside the repository"):
        refuse_outside(document, {"STAGE": value})


@pytest.mark.parametrize("path", ["env/${STAGE:-../../key}", "a/${X}/../../..", "a${X:-/..}/../key"])
def test_nor_can_its_default(path: str) -> None:
    with pytest.raises(ComposeRejected, match="is outside the repository"):
        refuse_outside({"include": [path]}, {})


@pytest.mark.parametrize(
    "path",
    [
        "oci://registry.example/evil:1",
        "https://github.com/acme/evil.git",
        "git@github.com:acme/evil.git#main:compose.yaml",
        "github.com/acme/evil",
        "ssh://git@host/evil.git",
        "${X:-https}://host/evil.git",
    ],
)
def test_nothing_is_fetched_from_elsewhere(path: str) -> None:
    with pytest.raises(ComposeRejected, match="is not a file of the repository"):
        refuse_outside({"services": {}, "include": [path]}, {})
