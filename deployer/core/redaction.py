"""Text from outside without the values of variables. In: text, values. Out: text in which no part of a value
is left that could be told from a word.

A program shows a value quoted, escaped, cut, in another case, within another word or encoded. So not the
value is looked for but, in each word of the text, every run of characters that the value has as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote

from deployer.core.release import redact

_WORD = re.compile(r"[^\W_]+")
_PART = 6  # characters that a word and a value have in common; words of English share five, as `ction`
_SHORTEST = 3  # of a value that is a whole word


def hide_values(text: str, values: Collection[str]) -> str:
    """Shorter parts of a value than six characters may stay, a whole value of three or more does not."""
    whole = redact(text, {form: form for value in values for form in _forms(value)})
    short: set[str] = set()
    parts: set[str] = set()
    for value in values:
        words = [word.casefold() for form in _forms(value) for word in _WORD.findall(form)]
        parts.update(word[at : at + _PART] for word in words for at in range(len(word) - _PART + 1))
        if len(value) >= _SHORTEST and _WORD.fullmatch(value):
            short.add(value.casefold())

    def hidden(match: re.Match[str]) -> str:
        word = match[0].casefold()
        inner = (word[at : at + _PART] for at in range(len(word) - _PART + 1))
        return "[redacted]" if word in short or not parts.isdisjoint(inner) else match[0]

    return _WORD.sub(hidden, whole)


def _forms(value: str) -> Iterator[str]:
    """The value as it is, line by line, escaped and encoded."""
    raw = value.encode(errors="surrogatepass")
    yield from (value, *value.splitlines(), json.dumps(value)[1:-1], quote(raw), raw.hex())
    yield from (base64.b64encode(raw[skipped:]).decode() for skipped in range(3))
