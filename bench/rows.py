"""Output of every benchmark. In: measured rows. Out: a table for people or one JSON object, and a verdict on
all goals.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

IN_A_ROW = 20  # deploys over which lost requests are summed, with medians of five
_LIMITS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "=": lambda value, limit: value == limit,
}


@dataclass(frozen=True)
class Row:
    """One figure: `value` is the median of `runs` if there are several; `goal` reads `<= 0.7`, or is empty
    for a figure without goal; `peer` is the compared figure.
    """

    key: str
    value: float
    unit: str
    goal: str
    runs: tuple[float, ...]
    peer: str = ""

    @property
    def holds(self) -> bool:
        word, _, limit = self.goal.partition(" ")
        return not self.goal or _LIMITS[word](self.value, float(limit))


def in_a_row(runs: int) -> int:
    """Returns the number of deploys over which lost requests are summed; fewer in a quick run."""
    return max(1, IN_A_ROW * runs // 5)


def machine() -> dict[str, Any]:
    """Returns the description of the machine."""
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def as_json(name: str, rows: Sequence[Row]) -> str:
    found = [{**asdict(row), "holds": row.holds} for row in rows]
    return json.dumps({"bench": name, "machine": machine(), "rows": found}, indent=2)


def as_table(name: str, rows: Sequence[Row]) -> str:
    heads = ("", "key", "value", "unit", "goal", "runs", "against")
    cells = [
        (_mark(row), row.key, f"{row.value:g}", row.unit, row.goal, _runs(row), row.peer) for row in rows
    ]
    widths = [max(len(line[n]) for line in (heads, *cells)) for n in range(len(heads))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *cells)
    ]
    return "\n".join((f"{name} on {machine()['processors']} processors", *lines))


def _mark(row: Row) -> str:
    return ("ok" if row.holds else "NO") if row.goal else "-"


def _runs(row: Row) -> str:
    shown = " ".join(f"{value:g}" for value in row.runs)
    return shown if len(shown) <= 44 else f"{len(row.runs)}: {min(row.runs):g} to {max(row.runs):g}"


def say(text: str) -> None:
    """Prints progress beside the result."""
    print(text, file=sys.stderr, flush=True)
