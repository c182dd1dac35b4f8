"""Files of variables, in Compose's format. In: a file's text, values that its own text may name. Out: name →
value, and the names without a value. Never reads a file, never shows a value.

`NAME=value` or `NAME: value`, after an optional `export`; `#` comments. A value without quotes ends with its
line or at ` #`; quotes hold several lines. `${NAME}` is filled in outside single quotes, `$$` is a dollar
sign; `\\n` and the like are read in double quotes. A name alone takes the value that is known for it.
https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from deployer.core.variables.interpolation import Filled, Lookup, NotFillable, fill

_BLANK = " \t\v\f\r\x85\xa0"  # Compose's own notion of a space inside a line
_SPACE = f"{_BLANK}\n\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_GAP = re.compile(rf"(?:[{_SPACE}]|#[^\n]*)*")
_NAME = re.compile(
    rf"(?:export[{_SPACE}]+)?(?P<name>[A-Za-z_][\w.\-\[\]]*)[{_BLANK}]*(?:(?P<sign>[=:])|(?=\n|\Z))[{_BLANK}]*"
)
_REST = re.compile(rf"[{_BLANK}]*(?:#[^\n]*)?(?=\n|\Z)")
_QUOTED = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL) for quote in "'\""}
_ESCAPE = re.compile(r'\\(?:([abfnrtv"\\])|(\$)|0([0-7]{3}))')
_ESCAPED = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    '"': '"',
    "\\": "\\",
}


class NotDotenv(ValueError):
    """A line that is not in the format. `line` is its number."""

    def __init__(self, line: int, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.line = line
        self.hint = hint


@dataclass
class Dotenv:
    """Content of a file of variables. `missing`: name without a value → line of a value that names it;
    `bare`: name alone → its line.
    """

    variables: dict[str, str] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    bare: dict[str, int] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # name → its last line


def read_dotenv(
    text: str, given: Mapping[str, str] | None = None, below: Mapping[str, str] | None = None
) -> Dotenv:
    """Reads a file. A value that names another one gets it from `given`, else from the lines before, else
    from `below`. Raises NotDotenv.
    """
    over, under, found = given or {}, below or {}, Dotenv()

    def lookup(name: str) -> str | None:
        return next((one[name] for one in (over, found.variables, under) if name in one), None)

    text, at = text.removeprefix("\ufeff"), 0
    while (at := _after_gap(text, at)) < len(text):
        at = _statement(text, at, found, lookup)
    return found


def _after_gap(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return match.end() if match else at


def _statement(text: str, at: int, found: Dotenv, lookup: Lookup) -> int:
    """Reads one variable; returns where the next begins."""
    line = text.count("\n", 0, at) + 1
    named = _NAME.match(text, at)
    if named is None:
        raise NotDotenv(line, "should be NAME=value")
    name, at = named["name"], named.end()
    found.lines[name] = line
    if not named["sign"]:
        found.bare[name] = line
        if (known := lookup(name)) is not None:
            found.variables[name] = known
        return at
    try:
        value, at = _value(text, at, line, lookup)
    except NotFillable as error:
        raise NotDotenv(line, f"{name} {error}") from None
    found.variables[name] = value.text
    found.missing.update(dict.fromkeys(value.missing, line))
    return at


def _value(text: str, at: int, line: int, lookup: Lookup) -> tuple[Filled, int]:
    if text[at : at + 1] not in _QUOTED:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        plain = re.sub(rf"[{_SPACE}]+\Z", "", text[at:end].partition(" #")[0])
        return fill(plain, lookup), end
    quote = text[at]
    quoted = _QUOTED[quote].match(text, at)
    rest = _REST.match(text, quoted.end()) if quoted else None
    if quoted is None or rest is None:
        raise NotDotenv(
            line,
            "a quoted value should end with its quote, and nothing but a comment should follow",
            hint="a quote of the same kind inside the value is written with a backslash before it",
        )
    inner = quoted[1].replace(f"\\{quote}", quote) if quote == "'" else _unescaped(quoted[1])
    return (Filled(inner) if quote == "'" else fill(inner, lookup)), rest.end()


def _unescaped(text: str) -> str:
    """Reads the escapes of double quotes; an unknown one stays as it is."""

    def one(match: re.Match[str]) -> str:
        letter, dollar, octal = match.groups()
        if letter or dollar:
            return _ESCAPED[letter] if letter else "$$"
        return chr(int(octal, 8)) if 0 < int(octal, 8) < 256 else match[0]

    return _ESCAPE.sub(one, text)
