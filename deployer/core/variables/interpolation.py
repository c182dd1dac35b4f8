"""Variables that Compose files ask for. In: the files' text, the given variables. Out: names that are
missing. Never fills one in.

A variable is missing where Compose would insert nothing or refuse: `$NAME`, `${NAME}`, `${NAME:?why}`. A name
with a default, or one that only chooses between texts (`${NAME:+yes}`), is not missing.
https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_ASKED = re.compile(
    r"\$(?:\$|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<how>:?[-+?]|\})|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_YAML = (".yaml", ".yml")


def missing_variables(files: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    """Returns the sorted names without a value. `files` maps paths to text; Compose interpolates YAML files
    only.
    """
    texts = (text for path, text in files.items() if path.endswith(_YAML))
    return sorted({name for text in texts for name in _asked(text) if not variables.get(name)})


def _asked(text: str) -> Iterable[str]:
    """Yields names without a default; `$$` is a dollar sign."""
    for match in _ASKED.finditer(_COMMENT.sub("", text)):
        if match["bare"] or match["how"] in ("}", "?", ":?"):
            yield match["bare"] or match["braced"]
