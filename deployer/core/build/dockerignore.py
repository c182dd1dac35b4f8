"""Rules of `.dockerignore`. In: its text, paths of a context. Out: the paths that a build does not see.

The rules are moby/patternmatcher's, which BuildKit uses: the last pattern that fits a path or a folder above
it decides. https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

_ESCAPED = frozenset(".$+()|{}")
_SPECIAL = frozenset("*?[]\\")
_MOST_STARS = 8
_WILD = {"*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class Pattern:
    """Line of a `.dockerignore`; `keeps` if it begins with `!`."""

    regex: re.Pattern[str]
    keeps: bool


@dataclass(frozen=True)
class Ignore:
    """All lines of one file, in their order."""

    patterns: tuple[Pattern, ...] = ()

    @property
    def has_exceptions(self) -> bool:
        """True if a file inside an ignored folder may still be visible."""
        return any(pattern.keeps for pattern in self.patterns)

    def hides(self, path: str) -> bool:
        """True if the build does not see `path`, relative to the context with `/` between its parts."""
        parts = path.split("/")
        names = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        hidden = False
        for pattern in self.patterns:
            if pattern.keeps == hidden and any(pattern.regex.fullmatch(name) for name in names):
                hidden = not pattern.keeps
        return hidden


def parse_ignore(text: str) -> Ignore | None:
    """Parses the file; None if Docker itself would refuse it, or if matching would take for ever."""
    try:
        return Ignore(tuple(_patterns(text)))
    except re.error:
        return None


def _patterns(text: str) -> Iterator[Pattern]:
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        keeps = line.strip().startswith("!")
        pattern = line.strip()[1:].strip() if keeps else line.strip()
        clean = posixpath.normpath(pattern).lstrip("/") if pattern else ""
        if not clean:
            raise re.error("a pattern without a path")
        # No file is called `.`, so such a line has no effect, for Docker either.
        if clean.count("*") > _MOST_STARS:
            raise re.error("a pattern with so many stars takes time without end")
        if clean != ".":
            yield Pattern(re.compile(_regex(clean), re.DOTALL), keeps)


def _regex(pattern: str) -> str:
    rest = pattern.removeprefix("**")
    if rest != pattern and rest and rest[0] != "/" and not _SPECIAL & set(rest):
        return ".*" + re.escape(rest)  # `**` before a plain ending is only a suffix
    parts, rest = [], pattern
    while rest:
        part, rest = _next(rest)
        parts.append(part)
    return "".join(parts)


def _next(rest: str) -> tuple[str, str]:
    """Returns the regular expression of the first element of `rest`, and the remaining pattern."""
    if rest.startswith("**"):
        left = rest[2:].removeprefix("/")
        return ("(.*/)?" if left else ".*"), left
    first, left = rest[0], rest[1:]
    if first == "\\":
        if not left:
            raise re.error("a pattern ends with a backslash")
        return re.escape(left[0]), left[1:]
    return _WILD.get(first, f"\\{first}" if first in _ESCAPED else first), left
