"""Who did what, from where, and what came of it, as a chain. In: acts and the hashes before them. Out:
text and hash of each entry, and the first entry that somebody changed.

Each entry's hash covers the one before, so that no entry can be changed, taken out or put in between without
breaking the chain; it is keyed, so that nobody without the server's key file can make a new chain either.
Whoever writes to the database itself can cut off the newest entries unseen: to see that, keep the head,
number and hash, elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

START = "0" * 64  # the hash before the first entry
_MOST = 500  # characters of one fact
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Action(StrEnum):
    """What is recorded."""

    ACCEPT = "accept"  # a wish: queued, or known already, or too old
    RELEASE = "release"  # a release was completed: its images by digest
    END = "end"  # of a deployment
    CONFIRM = "confirm"  # a word from outside on a release that waits for one
    REFUSE = "refuse"  # somebody without the right to what they asked for
    GRANT = "grant"  # a person's token was made
    REVOKE = "revoke"


@dataclass(frozen=True)
class Act:
    """One thing that somebody did. `origin` is an address, or `local` for commands on the server."""

    action: Action
    who: str
    origin: str
    app: str = ""
    environment: str = ""
    verdict: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One link: `text` is canonical JSON, `hash` 64 hex digits over key, hash before and text."""

    n: int
    text: str
    hash: str


def entry_text(n: int, at: float, act: Act) -> str:
    """The same act always gives the same bytes; control characters and anything but ASCII are escaped."""
    table = {
        "n": n,
        "at": round(at, 3),
        "action": act.action,
        "who": act.who[:_MOST],
        "origin": act.origin[:_MOST],
        "app": act.app[:_MOST],
        "environment": act.environment[:_MOST],
        "verdict": act.verdict[:_MOST],
        "facts": {name: value[:_MOST] for name, value in act.facts.items() if value},
    }
    return _CANONICAL.encode(table)


def link(key: bytes, before: str, text: str) -> str:
    """The hash of an entry."""
    return hmac.new(key, f"{before}\n{text}".encode(), hashlib.sha256).hexdigest()


def find_break(key: bytes, entries: Iterable[Entry]) -> tuple[Entry, str]:
    """The last entry that holds, and what is wrong after it, empty where nothing is. `entries` are all there
    are, oldest first.
    """
    last = Entry(0, "", START)
    for entry in entries:
        if entry.n != last.n + 1:
            return last, f"entry {last.n + 1} is missing"
        if not hmac.compare_digest(link(key, last.hash, entry.text).encode(), entry.hash.encode()):
            return last, f"entry {entry.n} was changed, or the one before it"
        last = entry
    return last, ""
