"""JSON written by GitHub, read field by field. In: a table and its path. Out: typed values, or
PayloadRejected with the field's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.errors import PayloadRejected
from deployer.core.images import REVISION

_MAX_TEXT = 300


class Fields:
    """A JSON object at `path`: a field that is missing or of another type raises PayloadRejected.

    `optional` reads an absent or null field as empty. An empty object reads as false.
    """

    def __init__(self, table: Mapping[str, Any], path: str = "") -> None:
        self._table = table
        self._path = path

    def __bool__(self) -> bool:
        return bool(self._table)

    def table(self, key: str, *, optional: bool = False) -> Fields:
        return Fields(self.mapping(key, optional=optional), f"{self._path}{key}.")

    def mapping(self, key: str, *, optional: bool = False) -> Mapping[str, Any]:
        value = self._table.get(key)
        if value is None and optional:
            value = {}
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return value

    def text(self, key: str, *, optional: bool = False) -> str:
        value = self._table.get(key)
        if value is None and optional:
            value = ""
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self._wrong(key, f"text of at most {_MAX_TEXT} characters")
        return value

    def revision(self, key: str) -> str:
        value = self.text(key)
        if not REVISION.fullmatch(value):
            raise self._wrong(key, "40 hex digits")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def number(self, key: str) -> int:
        value = self._table.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(key, "a whole number")
        return value

    def switch(self, key: str) -> bool:
        """Returns a flag, which GitHub writes as "1" or "0", as text or as a number."""
        value = self._table.get(key, "0")
        if isinstance(value, bool) or value not in ("0", "1", 0, 1):
            raise self._wrong(key, '"0" or "1"')
        return value in ("1", 1)

    def _wrong(self, key: str, expected: str) -> PayloadRejected:
        return PayloadRejected(f"{self._path}{key}: should be {expected}")
