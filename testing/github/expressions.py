"""GitHub's expressions, the part that this repository's action.yml uses. In: text, contexts. Out: values.

Stricter than GitHub: an unknown function, operator, context or property is an error, not empty.
https://docs.github.com/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)"
    r"|(?P<op>&&|\|\||==|!=|!|\(|\)))"
)
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\(\)")
_LITERALS: Mapping[str, Any] = {"true": True, "false": False, "null": None}

Functions = Mapping[str, Callable[[], bool]]


class UnknownExpression(Exception):
    """The expression uses a construct that this evaluator does not know."""


class Known(dict[str, Any]):
    """A context with all of its keys; reading another key is an error."""

    def __missing__(self, key: str) -> Any:
        raise UnknownExpression(f"{key!r} is not among {sorted(self)}")


class Loose(dict[str, Any]):
    """A context whose absent keys are empty, like a step's outputs."""

    def __missing__(self, key: str) -> str:
        return ""


def interpolate(text: str, contexts: Known, functions: Functions) -> str:
    """Returns the text with every `${{ }}` replaced by its value."""
    return _EMBEDDED.sub(lambda match: as_text(evaluate(match.group(1), contexts, functions)), text)


def condition(text: str, contexts: Known, functions: Functions) -> bool:
    """Evaluates an `if:`; without a status function it also requires success()."""
    embedded = _EMBEDDED.fullmatch(text.strip())
    expression = embedded.group(1) if embedded else text
    if not _STATUS.search(expression) and not functions["success"]():
        return False
    return _truth(evaluate(expression, contexts, functions))


def evaluate(expression: str, contexts: Known, functions: Functions) -> Any:
    """Returns the value of one expression. Raises UnknownExpression."""
    parser = _Parser(expression, contexts, functions)
    value = parser.either()
    if parser.tokens:
        raise UnknownExpression(f"{parser.tokens} is left of {expression!r}")
    return value


def as_text(value: Any) -> str:
    """Converts a value to its text inside a string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise UnknownExpression(f"a {type(value).__name__} has no text")


def _truth(value: Any) -> bool:
    return value not in (None, False, 0, "")


def _equal(left: Any, right: Any) -> bool:
    """Compares values. GitHub ignores the case of strings; other mixed comparisons are not supported."""
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if type(left) is not type(right):
        raise UnknownExpression(f"comparison of {type(left).__name__} and {type(right).__name__}")
    return bool(left == right)


class _Parser:
    """Recursive descent: `||` binds least, then `&&`, then `==` and `!=`, then `!`."""

    def __init__(self, expression: str, contexts: Known, functions: Functions) -> None:
        self.tokens = _tokens(expression)
        self.contexts, self.functions = contexts, functions

    def either(self) -> Any:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value if _truth(value) else other
        return value

    def both(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = other if _truth(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while self.tokens and self.tokens[0] in (("op", "=="), ("op", "!=")):
            _, operator = self.tokens.pop(0)
            value = _equal(value, self._unary()) is (operator == "==")
        return value

    def _unary(self) -> Any:
        return not _truth(self._unary()) if self._take("!") else self._primary()

    def _primary(self) -> Any:
        if not self.tokens:
            raise UnknownExpression("the expression ends too early")
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind == "name":
            return self._named(text)
        if text != "(":
            raise UnknownExpression(f"{text!r} stands where a value should")
        value = self.either()
        if not self._take(")"):
            raise UnknownExpression("a parenthesis is not closed")
        return value

    def _named(self, name: str) -> Any:
        if self._take("("):
            if not self._take(")") or name not in self.functions:
                raise UnknownExpression(f"function {name}")
            return self.functions[name]()
        if name in _LITERALS:
            return _LITERALS[name]
        value: Any = self.contexts
        for part in name.split("."):
            if not isinstance(value, Known | Loose):
                raise UnknownExpression(f"{name}: there is nothing below the value before {part!r}")
            value = value[part]
        return value

    def _take(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", operator):
            self.tokens.pop(0)
            return True
        return False


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, position, text = [], 0, expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or not match.lastgroup:
            raise UnknownExpression(f"{text[position:]!r} in {expression!r}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found
