"""The input `env`. In: lines of NAME=value, as GITHUB_ENV has them. Out: name → value. Never shows a value in
an error.

A value is everything after the first `=`, unchanged. A value of several lines: NAME<<END, the lines, END.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deployer.ci.github.inputs import input_text
from deployer.core.errors import ConfigError
from deployer.core.requests.deploy_request import wrong_variable

_HEREDOC = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)<<([A-Za-z0-9_-]+)")


def given_variables() -> dict[str, str]:
    """Returns the variables. Raises ConfigError with the number of the wrong line."""
    found: dict[str, str] = {}
    for number, name, value in _read(input_text("env")):
        if wrong := wrong_variable(name, value):
            raise ConfigError("env", f"line {number}: {wrong}")
        if name in found:
            raise ConfigError("env", f"line {number}: {name} is given twice")
        found[name] = value
    return found


def _read(text: str) -> Iterator[tuple[int, str, str]]:
    lines = enumerate((line.removesuffix("\r") for line in text.split("\n")), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        heredoc = _HEREDOC.fullmatch(line.strip())
        name, equals, value = line.partition("=")
        if heredoc:
            yield number, heredoc.group(1), "\n".join(_until(lines, heredoc.group(2), number))
        elif equals:
            yield number, _plain(name, number), value
        else:
            raise ConfigError("env", f"line {number}: {_HINT}")


def _plain(name: str, number: int) -> str:
    """Returns a checked name. The error does not show the text before the `=`: it may be part of a secret
    that has several lines.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
        raise ConfigError("env", f"line {number}: {_HINT}")
    return name.strip()


def _until(lines: Iterator[tuple[int, str]], end: str, began: int) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == end:
            return
        yield line
    raise ConfigError("env", f"line {began}: no line {end} ends the value")


_HINT = "should be NAME=value; for a value of several lines NAME<<END, the lines, END"
