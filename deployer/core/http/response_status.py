"""Status of an HTTP response. In: the first bytes of a response. Out: its status code, or None."""

from __future__ import annotations

import re

_STATUS = re.compile(rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?![0-9])")

_HEAD_END = re.compile(rb"\r?\n\r?\n")

MOST_READ = 16_384  # bytes of an answer in which its status must have come


def status_of(got: bytes, *, whole: bool = False) -> int | None:
    """The final status of an answer of which this is what came; 0 where it is not HTTP, None while it has not
    come yet; `whole`: no more will. Interim answers (1xx) announce it: RFC 9110, 15.2.
    """
    rest = got + b"\n" if whole else got
    while b"\n" in rest:
        line = _STATUS.match(rest)
        if line is None:
            return 0
        if line[1][:1] != b"1":
            return int(line[1])
        end = _HEAD_END.search(rest)
        rest = rest[end.end() :] if end else b""
    return 0 if whole or len(got) >= MOST_READ else None
