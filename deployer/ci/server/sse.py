"""Parser for server-sent events. In: a stream's lines. Out: `Message`s.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_MAX_MESSAGE = 1_000_000


@dataclass(frozen=True)
class Message:
    """A dispatched event; `id` is the last one that the stream has named."""

    id: str
    kind: str
    data: str

    def table(self) -> dict[str, Any]:
        """Returns the data as a JSON object, empty if it is anything else."""
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def read_messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Yields complete messages; a message cut off by the end of the stream is dropped, as the
    standard says.
    """
    last_id, kind, data = "", "", list[str]()
    for raw in lines:
        name, value = _field(raw)
        if name == "" and value == "":
            if data:
                yield Message(last_id, kind or "message", "\n".join(data))
            kind, data = "", []
        elif name == "data" and sum(map(len, data)) + len(value) <= _MAX_MESSAGE:
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value


def _field(raw: bytes) -> tuple[str, str]:
    """Returns name and value; a blank line is two empty texts, a comment has an empty name."""
    line = raw.decode("utf-8", "replace").rstrip("\r\n")
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ") if name else line
