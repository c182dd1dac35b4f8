"""The server's variables file of an environment. In: a path. Out: name → value. Writes nothing, interpolates
nothing.

The form is that of `.env` files: NAME=value, one a line, `#` comments, single or double quotes around a
value.
"""

from __future__ import annotations

import re
from pathlib import Path

from deployer.core.errors import ConfigError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_variables(path: str) -> dict[str, str]:
    """Raises ConfigError with the line that is wrong; an empty path means no variables."""
    if not path:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"the variables file cannot be read: {type(error).__name__}") from None
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigError(f"{path}:{number}", "should be NAME=value")
        variables[match.group(1)] = _value(match.group(2))
    return variables


def _value(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(0)), text[1:-1])
    return re.split(r"\s+#", text, maxsplit=1)[0].rstrip()
