"""Strict JSON parser for untrusted bytes. In: raw bytes. Out: plain values, or PayloadRejected; never
RecursionError, never a value that fails later.

Refused: not UTF-8, not an object at the top, duplicate keys, NaN and infinities, numbers outside 64 bits or
the float range, nesting over 64, lone surrogates and NUL in any text (SQLite and argv cannot carry them). All
of it is checked for every body; each check is cheap, because bodies may have 5 MiB.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from deployer.core.errors import PayloadRejected

MAX_DEPTH = 64
_MAX_DIGITS = 20
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")
# Valid UTF-8 holds no surrogate, and JSON no raw NUL: only an escape can produce one in a text.
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parses one JSON object: the only parser for JSON from outside."""
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except RecursionError:
        raise PayloadRejected("the body is nested too deeply") from None
    except ValueError as error:
        raise PayloadRejected(f"the body is not valid JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise PayloadRejected("the body must be a JSON object")
    _check(value, texts=bool(_SUSPECT.search(text)))
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


def _check(value: dict[str, Any], *, texts: bool) -> None:
    """Checks level by level; texts only if one of them can be unfit."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        if texts and any(map(_UNFIT.search, _texts(level))):
            raise PayloadRejected("the body has text with a NUL or half a surrogate pair")
        level = [item for one in level for item in _items(one) if type(item) in (dict, list)]
        if not level:
            return
    raise PayloadRejected("the body is nested too deeply")


def _items(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container


def _texts(level: list[Any]) -> Iterator[str]:
    """Yields the keys of every object of the level, and the texts in it."""
    for one in level:
        if type(one) is dict:
            yield from one
        yield from (item for item in _items(one) if type(item) is str)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
)
