"""Looking for planted secrets wherever something is written down. In: a stage. Out: the places that hold one,
and how many were looked at.

The variables file and the rendered model are where the secrets belong; everything else must not hold one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tests.stand.stage import CANARIES, Stage


def find_canaries(stage: Stage) -> tuple[list[str], int]:
    """The names of places with a hit, and the number of places."""
    needles = [value.encode() for value in CANARIES.values()]
    needles += [token.encode() for token in stage.secrets]
    found, looked = [], 0
    for name, content in _places(stage):
        looked += 1
        found += [name for needle in needles if needle in content]
    return found, looked


def _places(stage: Stage) -> Iterator[tuple[str, bytes]]:
    yield "the server's log", stage.log.read_bytes()
    yield from ((f"answer {number}", answer) for number, answer in enumerate(stage.answers))
    yield from ((f"the action's log {number}", log.encode()) for number, log in enumerate(stage.logs))
    for path in stage.state.glob("deployer.db*"):
        yield path.name, path.read_bytes()
    yield from _rows(stage.state / "deployer.db")
    yield from ((f"a process's arguments {n}", line) for n, line in enumerate(stage.arguments))


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for number, row in enumerate(database.execute(f"SELECT * FROM {table}")):
                yield f"row {number} of {table}", repr(row).encode()
