"""Variables in texts that Compose fills in. In: a text, values. Out: the filled text; the names without a
value. Never guesses.

A variable is missing where Compose would insert nothing or refuse: `$NAME`, `${NAME}`, `${NAME:?why}`. A name
with a default, or one that only chooses between texts (`${NAME:+yes}`), is not missing.
https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_ASKED = re.compile(
    r"\$(?:\$|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<how>:?[-+?]|\})|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)
_ANY_NAME = re.compile(r"\$(?:\$|\{?(?P<name>[A-Za-z_][A-Za-z0-9_]*))")
_PLACE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?:(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<how>:?[-+?]|\}))?)"
)
_BRACE = re.compile(r"[{}]")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_YAML = (".yaml", ".yml")

Lookup = Callable[[str], str | None]


class NotFillable(ValueError):
    """A text that Compose refuses, or that its versions read in different ways. Its message has no value."""


@dataclass(frozen=True)
class Filled:
    """A filled text, and the names in it that got nothing because they have no value."""

    text: str
    missing: tuple[str, ...] = ()


def fill(text: str, lookup: Lookup) -> Filled:
    """Fills a text in as Compose does; `lookup` gives None for a name without a value. Raises NotFillable."""
    parts: list[str] = []
    missing: list[str] = []
    at = 0
    while place := _PLACE.search(text, at):
        parts.append(text[at : place.start()])
        at = place.end()
        if place["dollar"]:
            parts.append("$")
        elif place["bare"] or place["how"] == "}":
            name = place["bare"] or place["braced"]
            value = lookup(name)
            missing += [name] if value is None else []
            parts.append(value or "")
        elif place["how"]:
            end = _closing(text, at)
            found = _chosen(place["braced"], place["how"], text[at:end], lookup)
            parts.append(found.text)
            missing += found.missing
            at = end + 1
        else:
            raise NotFillable("has a ${ that begins no variable; a dollar sign itself is $$")
    return Filled("".join([*parts, text[at:]]), tuple(dict.fromkeys(missing)))


def _closing(text: str, at: int) -> int:
    """Returns the position of the brace that closes the variable. A brace of another kind inside is refused:
    versions of Compose count it in different ways.
    """
    depth = 1
    for brace in _BRACE.finditer(text, at):
        if brace[0] == "{" and text[brace.start() - 1] != "$":
            raise NotFillable("has a { inside ${…}, which versions of Compose read in different ways")
        depth += 1 if brace[0] == "{" else -1
        if not depth and "\n" not in text[at : brace.start()]:
            return brace.start()
    raise NotFillable("has a ${ that is not closed on its line; a dollar sign itself is $$")


def _chosen(name: str, how: str, inner: str, lookup: Lookup) -> Filled:
    value = lookup(name)
    there = value is not None and (value != "" or not how.startswith(":"))
    if how.endswith("?"):
        if not there:
            raise NotFillable(f"requires {name}, which has no value")
        return Filled(value or "")
    if how.endswith("+"):
        return fill(inner, lookup) if there else Filled(value or "")
    return Filled(value or "") if there else fill(inner, lookup)


def missing_variables(files: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    """Returns the sorted names without a value. `files` maps paths to text; Compose interpolates YAML files
    only.
    """
    texts = (text for path, text in files.items() if path.endswith(_YAML))
    return sorted({name for text in texts for name in _asked(text) if not variables.get(name)})


def named_variables(texts: Iterable[str]) -> frozenset[str]:
    """Returns the names of all variables in the texts, with a default or without."""
    named = (match["name"] for text in texts for match in _ANY_NAME.finditer(_COMMENT.sub("", text)))
    return frozenset(name for name in named if name)


def _asked(text: str) -> Iterable[str]:
    """Yields names without a default; `$$` is a dollar sign."""
    for match in _ASKED.finditer(_COMMENT.sub("", text)):
        if match["bare"] or match["how"] in ("}", "?", ":?"):
            yield match["bare"] or match["braced"]
