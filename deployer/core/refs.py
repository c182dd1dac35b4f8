"""Git refs: prefixes of branches and tags, and patterns that name them."""

from __future__ import annotations

import re

_TAGS_WORD = "tags "


def matches(pattern: str, name: str) -> bool:
    """True if a pattern with `*` and `**` fits a whole name; every other character stands for itself."""
    parts = re.split(r"(\*\*|\*)", pattern)
    wild = {"*": "[^/]*", "**": ".*"}
    regex = "".join(wild.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(regex, name, re.DOTALL) is not None


def ref_pattern(setting: str) -> str:
    """Returns the refs that an environment accepts: `main`, `release/*`, or `tags v*` for tags."""
    name = setting.removeprefix(_TAGS_WORD)
    return f"{HEADS if name == setting else TAGS}{name.strip()}"


HEADS, TAGS = "refs/heads/", "refs/tags/"
