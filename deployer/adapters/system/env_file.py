"""The server's variables file of an environment. In: a path. Out: name → value. Never writes.

The format is Compose's own (`core/variables/dotenv.py`). Names alone and names that no shell takes are
refused, since a secret of several lines without quotes would be read as them. No error shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployer.adapters.system.files import read_private
from deployer.core.errors import ConfigError
from deployer.core.variables.dotenv import Dotenv, NotDotenv, read_dotenv

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_variables(
    path: str, given: Mapping[str, str] | None = None, below: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Reads the file; an empty path means no variables. A value may name a variable of `given`, of the lines
    before it, or of `below`. Raises ConfigError with the faulty line, a variable in it that has no value, or
    if every user may read the file.
    """
    if not path:
        return {}
    found = _read(path, given, below)
    for name, line in found.missing.items():
        raise ConfigError(
            f"{path}:{line}",
            f"names the variable {name}, which has no value",
            hint="a dollar sign itself is written $$, or the value in single quotes; ${NAME:-} may be empty",
        )
    return found.variables


def open_names(path: str) -> dict[str, int]:
    """Returns the variables that the file's values name and only a deploy can give, each with its line.
    Raises ConfigError as `read_variables`.
    """
    return _read(path).missing if path else {}


def _read(
    path: str, given: Mapping[str, str] | None = None, below: Mapping[str, str] | None = None
) -> Dotenv:
    try:
        found = read_dotenv(read_private(path, "variables-file", "utf-8-sig"), given, below)
    except NotDotenv as error:
        raise ConfigError(f"{path}:{error.line}", str(error), hint=error.hint) from None
    for name, line in found.lines.items():
        if name in found.bare or not _NAME.fullmatch(name):
            raise ConfigError(f"{path}:{line}", "should be NAME=value")
    return found
