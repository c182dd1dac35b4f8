"""Colours for a terminal; none when stdout is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from deployer.core.model import EventKind, Status

_COLOURS: Mapping[str, int] = {
    Status.SUCCESS: 32,
    Status.FAILURE: 31,
    Status.ERROR: 31,
    EventKind.FAILED: 31,
    EventKind.ROLLBACK: 33,
    EventKind.LOG: 2,
}


def coloured(text: str, kind: str) -> str:
    colour = _COLOURS.get(kind)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and sys.stdout.isatty() else text
