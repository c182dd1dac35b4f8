"""Shares of the test files, of which one runs each day."""

from __future__ import annotations

from pathlib import Path

from testing.docker.docker_cli import ROOT
from tests.conftest import in_share


def test_every_file_is_in_exactly_one_share() -> None:
    files = [str(path.relative_to(ROOT)) for path in Path(ROOT, "tests").rglob("test_*.py")]
    assert len(files) > 150
    shares = {file: [number for number in (1, 2, 3) if in_share(file, number, 3)] for file in files}
    assert {file: found for file, found in shares.items() if len(found) != 1} == {}
    assert {found[0] for found in shares.values()} == {1, 2, 3}
