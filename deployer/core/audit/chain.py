"""Hash chain of the audit log: actor, action, origin and outcome of each event. In: audit events and the
hashes before them. Out: text and hash of each entry, and the first entry that was changed.

Each entry's hash covers the one before, so that no entry can be changed, removed or inserted without breaking
the chain; it is keyed, so that a new chain needs the server's key file as well. A process that can write to
the database can cut off the newest entries unnoticed: to detect that, keep the head, number and hash,
elsewhere.
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
    """Kind of an audit event."""

    ACCEPT = "accept"  # a deploy job: queued, or known already, or too old
    RELEASE = "release"  # a release was completed: its images by digest
    END = "end"  # of a deployment
    CONFIRM = "confirm"  # external confirmation of a release
    REFUSE = "refuse"  # a caller without the right to the request
    GRANT = "grant"  # an API token was created
    REVOKE = "revoke"


@dataclass(frozen=True)
class AuditEvent:
    """Audit event. `origin` is an address, or `local` for commands on the server."""

    action: Action
    who: str
    origin: str
    app: str = ""
    environment: str = ""
    verdict: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """Link of the chain: `text` is canonical JSON, `hash` 64 hex digits over key, previous
    hash and text.
    """

    n: int
    text: str
    hash: str


def entry_text(n: int, at: float, event: AuditEvent) -> str:
    """Returns an event's canonical JSON: the same event always gives the same bytes; control characters and
    anything but ASCII are escaped.
    """
    table = {
        "n": n,
        "at": round(at, 3),
        "action": event.action,
        "who": event.who[:_MOST],
        "origin": event.origin[:_MOST],
        "app": event.app[:_MOST],
        "environment": event.environment[:_MOST],
        "verdict": event.verdict[:_MOST],
        "facts": {name: value[:_MOST] for name, value in event.facts.items() if value},
    }
    return _CANONICAL.encode(table)


def link(key: bytes, before: str, text: str) -> str:
    """Returns the hash of an entry."""
    return hmac.new(key, f"{before}\n{text}".encode(), hashlib.sha256).hexdigest()


def find_break(key: bytes, entries: Iterable[Entry]) -> tuple[Entry, str]:
    """Returns the last valid entry and the fault after it, empty if there is none. `entries` must be
    complete, oldest first.
    """
    last = Entry(0, "", START)
    for entry in entries:
        if entry.n != last.n + 1:
            return last, f"entry {last.n + 1} is missing"
        if not hmac.compare_digest(link(key, last.hash, entry.text).encode(), entry.hash.encode()):
            return last, f"entry {entry.n} was changed, or the one before it"
        last = entry
    return last, ""
