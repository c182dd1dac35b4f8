"""Status of an HTTP response. In: the first bytes of a response. Out: its status code, or None."""

from __future__ import annotations

import re

_STATUS = re.compile(rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?![0-9])")

_HEAD_END = re.compile(rb"\r?\n\r?\n")

MOST_READ = 16_384  # bytes of an answer within which its status must arrive


def status_of(got: bytes, *, whole: bool = False) -> int | None:
    """Returns the final status of an answer that begins with `got`; 0 if it is not HTTP, None if the status
    has not arrived; `whole`: no more bytes will. Interim answers (1xx) precede it: RFC 9110, 15.2.
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
