"""Colours for a terminal; none when stdout is not a terminal."""

from __future__ import annotations

import sys

_COLOURS = {"success": 32, "failure": 31, "error": 31, "failed": 31, "rollback": 33, "log": 2}


def coloured(text: str, kind: str) -> str:
    colour = _COLOURS.get(kind)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and sys.stdout.isatty() else text
