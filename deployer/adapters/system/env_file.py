"""The server's variables file of an environment. In: a path. Out: name → value. Never writes, never
interpolates.

The format is that of `.env` files: NAME=value, one a line, `#` comments, single or double quotes around a
value. A value is read as Compose would read it from such a file; forms that Compose would guess at are
refused. No error shows a value.
"""

from __future__ import annotations

import re

from deployer.adapters.system.files import read_private
from deployer.core.errors import ConfigError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_variables(path: str) -> dict[str, str]:
    """Reads the file. Raises ConfigError with the faulty line, or if every user may read the file; an empty
    path means no variables.
    """
    if not path:
        return {}
    text = read_private(path, "variables-file", "utf-8-sig")
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError(f"{path}:{number}", "should be NAME=value")
        variables[match.group(1)] = _value(match.group(2), f"{path}:{number}")
    return variables


def _value(text: str, place: str) -> str:
    if not text.startswith(("'", '"')):
        return re.split(r"\s+#", text, maxsplit=1)[0].rstrip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        raise ConfigError(
            place,
            "a quoted value should end with its quote, on the same line",
            hint=r'a line end inside is \n: NAME="one\ntwo"',
        )
    plain, escaped = quoted.groups()
    if plain is not None:
        return str(plain)
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(0)), escaped)
