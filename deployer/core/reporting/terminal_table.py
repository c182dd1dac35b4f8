"""Tables and texts that fit a terminal. In: cells, the terminal's columns. Out: lines. Never asks the
terminal.

A width of 0 means no limit: the output goes to a file or to another program.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

_GAP = "  "


def width_of(table: Mapping[str, Sequence[str]]) -> int:
    """Returns the characters of the table's widest line. `table`: title → cells."""
    return sum(map(len, _padded(table))) + len(_GAP) * (len(table) - 1)


def lines_of(table: Mapping[str, Sequence[str]], *, titles: bool = True) -> list[str]:
    """Returns the table's lines with aligned columns, without spaces at their ends."""
    widths = [len(cell) for cell in _padded(table)]
    rows = [tuple(table)] if titles else []
    rows += zip(*table.values(), strict=True)
    aligned = (_GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in aligned]


def _padded(table: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the longest cell of each column."""
    return [max((title, *cells), key=len) for title, cells in table.items()]


def wrapped(text: str, width: int, *, indent: str = "", hanging: str = "") -> list[str]:
    """Returns one line of text as lines of at most `width` characters; the second and later ones begin with
    `hanging`.
    """
    if not width or len(indent) + len(text) <= width:
        return [indent + text]
    return textwrap.wrap(
        text, max(width, len(hanging) + 10), initial_indent=indent, subsequent_indent=hanging
    )
