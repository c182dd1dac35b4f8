"""The page of benchmarks names every figure that a roll-out's bench measures."""

from __future__ import annotations

import pytest

from bench.rollout import KEYS
from testing.docker.docker_cli import ROOT

PAGE = (ROOT / "docs/reference/benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", KEYS)
def test_a_measured_figure_stands_in_the_page(key: str) -> None:
    assert f"`{key}`" in PAGE
