"""Redaction of variable values in text from outside. In: text, values. Out: text in which no recognisable
part of a value is left.

A program may print a value quoted, escaped, cut, in another case, within another word or encoded. So the
search is not for the value but, in each word of the text, for every run of characters that the value has as
well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import quote

_WORD = re.compile(r"[^\W_]+")
_PART = 6  # common characters of a word and a value; English words share five, as `ction`
_SHORTEST_WORD = 3  # characters of a value that is a whole word
_SHORTEST, _SHORTEST_NAMED = 6, 3  # shorter values occur in too many ordinary words
_USER_INFO = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_RANDOM = 16
_RANDOM_LOOKING = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_+/=.-]+")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASS|PWD|KEY|CREDENTIAL|PRIVATE|DSN|SALT|COOKIE", re.IGNORECASE)


def redact(text: str, variables: Mapping[str, str]) -> str:
    """Removes from outside text every variable value that is long enough to differ from an ordinary word."""
    long = [value for value in variables.values() if len(value) >= _SHORTEST]
    return _hide(text, [*long, *_passwords(variables)])


def redact_secrets(text: str, variables: Mapping[str, str]) -> str:
    """Removes values that look like secrets from our own text; hosts, ports and names stay readable."""
    secrets = [value for name, value in variables.items() if _is_secret(name, value)]
    return _hide(text, [*secrets, *_passwords(variables)])


def _passwords(variables: Mapping[str, str]) -> list[str]:
    """Returns the passwords inside addresses, as in `postgres://user:password@host`."""
    return [
        found
        for value in variables.values()
        for found in _USER_INFO.findall(value)
        if len(found) >= _SHORTEST_NAMED
    ]


def _hide(text: str, values: Iterable[str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        # In any case: a program that reads a file may have changed it.
        text = re.sub(re.escape(value), "[redacted]", text, flags=re.IGNORECASE)
    return text


def _is_secret(name: str, value: str) -> bool:
    if len(value) < _SHORTEST_NAMED:
        return False
    random = len(value) >= _RANDOM and _RANDOM_LOOKING.fullmatch(value) is not None
    return bool(_SECRET_NAME.search(name)) or ("://" in value and "@" in value) or random


def hide_values(text: str, values: Collection[str]) -> str:
    """Removes values of three or more characters, and their parts of six or more."""
    whole = redact(text, {form: form for value in values for form in _forms(value)})
    short: set[str] = set()
    parts: set[str] = set()
    for value in values:
        words = [word.casefold() for form in _forms(value) for word in _WORD.findall(form)]
        parts.update(word[at : at + _PART] for word in words for at in range(len(word) - _PART + 1))
        if len(value) >= _SHORTEST_WORD and _WORD.fullmatch(value):
            short.add(value.casefold())

    def hidden(match: re.Match[str]) -> str:
        word = match[0].casefold()
        inner = (word[at : at + _PART] for at in range(len(word) - _PART + 1))
        return "[redacted]" if word in short or not parts.isdisjoint(inner) else match[0]

    return _WORD.sub(hidden, whole)


def _forms(value: str) -> Iterator[str]:
    """Yields the value as it is, line by line, escaped and encoded."""
    raw = value.encode(errors="surrogatepass")
    yield from (value, *value.splitlines(), json.dumps(value)[1:-1], quote(raw), raw.hex())
    yield from (base64.b64encode(raw[skipped:]).decode() for skipped in range(3))
