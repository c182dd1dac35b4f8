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
        refuse_outside(shape(path))


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
    refuse_outside(document)
