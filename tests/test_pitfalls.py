"""Every known pitfall of a redeploy has a test by its number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from testing.docker.docker_cli import ROOT
from testing.security.pitfalls import PITFALLS

_NAME = re.compile(r"test_e([0-9]+)_")


def numbered() -> Iterator[tuple[int, str]]:
    """Number and test; read from the source, so that tests which need an engine count without one."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (found := _NAME.match(node.name)):
                yield int(found.group(1)), f"{path.name}::{node.name}"


@pytest.mark.parametrize("number", PITFALLS)
def test_every_pitfall_has_a_test(number: int) -> None:
    assert [name for found, name in numbered() if found == number], PITFALLS[number]


def test_no_test_is_named_after_a_pitfall_that_there_is_not() -> None:
    assert {number for number, _ in numbered()} <= set(PITFALLS)
