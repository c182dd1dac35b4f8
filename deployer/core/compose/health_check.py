"""The HTTP request inside a health check. In: the check's command. Out: `HttpProbe`, or None where the
request alone says less than the command. Never sends it.

Only a plain curl or wget to the container itself is recognised. With a pipe, a condition, a header or a
redirect the command decides by more than the answer's status, and then Docker's own verdict is the only one
that counts.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_URL = re.compile(r"(?:http://)?(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::([0-9]{1,5}))?(/[!\"$-~]*)?")
_HTTP_PORT, _LAST_PORT = 80, 65_535
_OR_EXIT = re.compile(r"\s*\|\|\s*exit\s+[0-9]+\s*$")
_SHELL = frozenset("|&;<>$`()!*?~{}\n\\")
_FLAGS = {
    "curl": re.compile(r"-[fsSq]+|--fail|--silent|--show-error|--max-time=\S+|--connect-timeout=\S+"),
    "wget": re.compile(
        r"-q|-nv|-q?O-|-qO/dev/null|--spider|--quiet|--no-verbose|--tries=\S+|--timeout=\S+|-[tT][0-9]+"
    ),
}
_WITH_VALUE = {
    "curl": frozenset({"-o", "--output", "-m", "--max-time", "--connect-timeout"}),
    "wget": frozenset({"-O", "-qO", "-t", "-T", "--tries", "--timeout", "--output-document"}),
}


@dataclass(frozen=True)
class HttpProbe:
    """The request by which the service's own health check decides. Applications refuse hosts that they do not
    know, so `host` is the one that the check names.
    """

    port: int
    path: str
    host: str = "localhost"

    @property
    def authority(self) -> str:
        """The request's `Host`."""
        return self.host if self.port == _HTTP_PORT else f"{self.host}:{self.port}"


def find_probe(test: Any) -> HttpProbe | None:
    """Returns the request of a health check's `test` in Compose's form: a shell line, or a list that begins
    with CMD or CMD-SHELL. None for any other command.
    """
    words = _words(test)
    if not words:
        return None
    program = words[0].rpartition("/")[2]
    rest = _operands(program, words[1:]) if program in _FLAGS else None
    found = _URL.fullmatch(rest[0]) if rest and len(rest) == 1 else None
    if not found:
        return None
    host, port, path = found.groups()
    probe = HttpProbe(int(port or _HTTP_PORT), path or "/", host)
    return probe if probe.port <= _LAST_PORT else None


def _words(test: Any) -> list[str]:
    if isinstance(test, list) and test[:1] == ["CMD"]:
        return [str(word) for word in test[1:]]
    line = str(test[1]) if isinstance(test, list) and test[:1] == ["CMD-SHELL"] and len(test) == 2 else test
    if not isinstance(line, str):
        return []
    line = _OR_EXIT.sub("", line)
    try:
        return [] if _SHELL & set(line) else shlex.split(line)
    except ValueError:
        return []


def _operands(program: str, words: Sequence[str]) -> list[str] | None:
    """Returns the words that are neither flags nor their values; None for an unknown flag."""
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in _WITH_VALUE[program]:
            del left[:1]
        elif not word.startswith("-"):
            rest.append(word)
        elif not _FLAGS[program].fullmatch(word):
            return None
    return rest
