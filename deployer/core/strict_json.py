"""Bytes from strangers → plain JSON values. Raises PayloadRejected; never RecursionError, never a surprise
later.

Refused: not UTF-8, not an object at the top, duplicate keys, NaN and infinities, numbers outside 64 bits or
the float range, nesting over 64, lone surrogates and NUL in any text (SQLite and argv cannot carry them).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from deployer.core.errors import PayloadRejected

MAX_DEPTH = 64
_MAX_DIGITS = 20
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


def parse_object(raw: bytes) -> dict[str, Any]:
    """The one door for JSON that others wrote."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except RecursionError:
        raise PayloadRejected("the body is nested too deeply") from None
    except ValueError as error:
        raise PayloadRejected(f"the body is not valid JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise PayloadRejected("the body must be a JSON object")
    _check(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise PayloadRejected("the body has the same key twice in one object")
    return table


def _refuse_constant(_text: str) -> NoReturn:
    raise PayloadRejected("the body has a number that is not finite")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or abs(int(text)) >= 2**63:
        raise PayloadRejected("the body has a number outside 64 bits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise PayloadRejected("the body has a number that is not finite")
    return value


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise PayloadRejected("the body is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if _UNFIT.search(text):
        raise PayloadRejected("the body has text with a NUL or half a surrogate pair")
