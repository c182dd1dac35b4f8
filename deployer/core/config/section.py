"""Reader for one table of settings. In: a dict as `tomllib` returns it. Out: typed values, or ConfigError
with the path.

Every key is taken once; a key that is left over at the end is unknown, so a typing error never passes
silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from deployer.core.errors import ConfigError

_MISSING = object()


class Section:
    """Table of the configuration, at `path`."""

    def __init__(self, table: object, path: str) -> None:
        if not isinstance(table, dict):
            raise ConfigError(path, "should be a table")
        self._left: dict[str, Any] = dict(table)
        self._known: list[str] = []
        self.path = path

    def at(self, key: str) -> str:
        """Returns the full path of `key`, as errors show it."""
        return f"{self.path}.{key}" if self.path else key

    def text(self, key: str, default: str | None = None) -> str:
        """Returns a string; without a default it must be present and not empty."""
        value = self._take(key, default)
        if value is None or (default is None and value == ""):
            raise self._missing(key)
        if not isinstance(value, str):
            raise ConfigError(self.at(key), "should be a string")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**53) -> int:
        """Returns a whole number between `least` and `most`."""
        value = self._take(key, default)
        if value is None:
            raise self._missing(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(self.at(key), f"should be a whole number from {least} to {most}")
        return value

    def flag(self, key: str) -> bool:
        """Returns true or false; false if absent."""
        value = self._take(key, False)
        if not isinstance(value, bool):
            raise ConfigError(self.at(key), "should be true or false")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Returns a list of strings."""
        value = self._take(key, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(self.at(key), "should be a list of strings")
        return tuple(value)

    def section(self, key: str) -> Section:
        """Returns a sub-table; an absent one reads as empty."""
        return Section(self._take(key, {}), self.at(key))

    def sections(self, key: str) -> Iterator[tuple[str, Section]]:
        """Yields every named table below `key`, in the file's order."""
        if key not in self._left and (found := get_close_matches(key, self._left, 1)):
            raise self._unknown(found[0], key)
        tables = self._take(key, _MISSING)
        if tables is _MISSING or not isinstance(tables, dict) or not tables:
            raise ConfigError(self.at(key), f"should hold at least one table, [{self.at(key)}.NAME]")
        for name, table in tables.items():
            yield name, Section(table, f"{self.at(key)}.{name}")

    def only(self, *keys: str) -> None:
        """Raises ConfigError for a table that is none of these: a missing setting may be in it by mistake."""
        for key in sorted(set(self._left) - set(keys)):
            raise self._unknown(key, next(iter(get_close_matches(key, keys, 1)), ""))

    def end(self) -> None:
        """Raises ConfigError for a key that was not taken."""
        if self._left:
            key = min(self._left)
            meant = get_close_matches(key, self._known, 1)
            raise self._unknown(key, meant[0] if meant else "")

    def _take(self, key: str, default: Any) -> Any:
        self._known.append(key)
        return self._left.pop(key, default)

    def _unknown(self, key: str, meant: str) -> ConfigError:
        guess = f"is {meant} meant? " if meant else ""
        hint = f"{guess}docs/reference/config.toml lists all"
        return ConfigError(self.at(key), "is not a known setting", hint=hint)

    def _missing(self, key: str) -> ConfigError:
        """Returns the error of a missing key; a misspelt key exists under an unknown name."""
        found = get_close_matches(key, self._left, 1)
        hint = f"{self.at(found[0])} is there: is it misspelt?" if found else ""
        return ConfigError(self.at(key), "is missing and has no default", hint=hint)
