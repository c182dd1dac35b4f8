"""Placeholders for variables' values. In: name → value. Out: name → a text of the same type that discloses
only the value's type.

Compose quotes values in its messages. Its messages about placeholders can be shown to readers who may not
know the values, such as the author of a pull request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBER = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_DURATION = re.compile(r"(?:[0-9]+(?:us|ms|s|m|h))+")
_SIZE = re.compile(r"[0-9]+(?:[kmgt]i?)?b?", re.IGNORECASE)
_TRUTH = ("true", "false", "yes", "no", "on", "off")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_SUBNET = re.compile(rf"{_ADDRESS.pattern}/[0-9]+")
_FIRST_NUMBER = 1001  # each number is used once, since Compose refuses some that are equal
_SHORTEST = 3


def placeholders(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns a placeholder for each variable. An empty value stays empty: Compose itself reports a missing
    one.
    """
    return {
        name: _placeholder(name, value, _FIRST_NUMBER + number)
        for number, (name, value) in enumerate(sorted(variables.items()))
    }


def _placeholder(name: str, value: str, number: int) -> str:
    kinds = (
        (_NUMBER, str(number)),
        (_DECIMAL, "0.5"),
        (_SIZE, "64m"),  # of minutes as well
        (_DURATION, "10s"),
        (_ADDRESS, "127.0.0.1"),
        (_SUBNET, "10.0.0.0/24"),
    )
    if not value:
        return ""
    if value.lower() in _TRUTH:
        return "true"
    named = f"value-of-{name.lower()}"
    plain = next((text for kind, text in kinds if kind.fullmatch(value)), named)
    return f"/{named}" if value.startswith("/") else plain


def quoted_names(text: str, variables: Mapping[str, str]) -> list[str]:
    """Returns the names of the variables that have their value in the text."""
    return sorted(name for name, value in variables.items() if len(value) >= _SHORTEST and value in text)
