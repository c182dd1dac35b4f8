"""The store's audit log: append-only, chained (`core/audit/chain.py`). In: audit events, within the
transaction that they record. Out: entries. Never changes an entry.

Refusals are folded (`core/audit/refusal_fold.py`): a client that floods the receiver with wrong signatures
must fill neither the disk nor the writer's time.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

from deployer.adapters.sqlite.database import Database
from deployer.core.audit.chain import START, Action, AuditEvent, Entry, entry_text, find_break, link
from deployer.core.audit.refusal_fold import RefusalFold
from deployer.core.errors import StoreUnavailable

_PAGE = 1_000
_HEAD = f"""
SELECT coalesce(max(n), 0), coalesce((SELECT hash FROM audit ORDER BY n DESC LIMIT 1), '{START}'),
EXISTS (SELECT 1 FROM audit_pending) FROM audit"""


class Ledger:
    """Appends entries; `key` is the server's own. A process without the key leaves them beside the chain, for
    a process with it.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._refusals = RefusalFold()

    @property
    def keyed(self) -> bool:
        return self._key is not None

    @property
    def key(self) -> bytes:
        if self._key is None:
            raise StoreUnavailable(
                "this process has no key to the audit log", hint="`deployer worker` has it"
            )
        return self._key

    def record(self, sql: sqlite3.Connection, now: float, *audit_events: AuditEvent) -> None:
        """Records all audit events of one transaction at once, in their order."""
        self.record_timed(sql, [(now, event) for event in audit_events])

    def record_timed(self, sql: sqlite3.Connection, audit_events: Sequence[tuple[float, AuditEvent]]) -> None:
        """Records audit events, each with its own time."""
        if self.keyed:
            self._link(sql, audit_events)
        else:
            left = [(at, json.dumps(asdict(event))) for at, event in audit_events]
            sql.executemany("INSERT INTO audit_pending (at, act) VALUES (?, ?)", left)

    def absorb(self, database: Database) -> None:
        """Links the entries that processes without the key left beside the chain, oldest first."""
        if self.keyed and database.read("SELECT 1 FROM audit_pending LIMIT 1"):
            with database.write() as sql:
                self._link(sql, [])

    def _link(self, sql: sqlite3.Connection, audit_events: Sequence[tuple[float, AuditEvent]]) -> None:
        n, before, waiting = sql.execute(_HEAD).fetchone()
        if waiting:
            left = sql.execute("SELECT at, act FROM audit_pending ORDER BY seq").fetchall()
            audit_events = [*((row["at"], _left_act(row["act"])) for row in left), *audit_events]
            sql.execute("DELETE FROM audit_pending")
        entries = []
        for at, event in audit_events:
            n += 1
            text = entry_text(n, at, event)
            before = link(self.key, before, text)
            entries.append((n, text, before))
        sql.executemany("INSERT INTO audit VALUES (?, ?, ?)", entries)
        sql.execute("UPDATE audit_head SET n = ?", (n,))

    def fold(self, event: AuditEvent, now: float) -> list[tuple[float, AuditEvent]]:
        """Counts one more refusal; returns the audit events to record, with their times."""
        with self._lock:
            return self._refusals.note(event, now)

    def unfold(self, now: float | None = None) -> list[tuple[float, AuditEvent]]:
        """Returns the audit events for the refusals of a day that is over; without `now`, for all
        refusals.
        """
        with self._lock:
            return self._refusals.end() if now is None else self._refusals.end_day(now)


class AuditRows:
    """Implements `ports.receiver_store.AuditLog`."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def record_refusal(self, event: AuditEvent, now: float) -> None:
        self._record_timed(self._ledger.fold(event, now))

    def end_refusals(self, now: float | None = None) -> None:
        """Records the counts of refusals of a day that is over; without `now`, of all refusals."""
        with suppress(StoreUnavailable):  # a lost count is no reason to fail
            self._record_timed(self._ledger.unfold(now))

    def _record_timed(self, audit_events: Sequence[tuple[float, AuditEvent]]) -> None:
        if audit_events:
            with self._database.write() as sql:
                self._ledger.record_timed(sql, audit_events)

    def entries(self, after: int = 0, limit: int = _PAGE) -> list[Entry]:
        """Returns the entries after number `after`, oldest first."""
        rows = self._database.read(
            "SELECT n, text, hash FROM audit WHERE n > ? ORDER BY n LIMIT ?", (after, limit)
        )
        return [Entry(row["n"], row["text"], row["hash"]) for row in rows]

    def head(self) -> int:
        """Returns the newest entry's number, 0 if there is none."""
        self._ledger.absorb(self._database)
        return int(self._database.read("SELECT n FROM audit_head")[0]["n"])

    def verify(self) -> tuple[Entry, str]:
        """Returns the last valid entry and the fault after it; the fault is empty if the whole
        log is valid.
        """
        self._ledger.absorb(self._database)
        last, wrong = find_break(self._ledger.key, self._all())
        if not wrong and last.n != self.head():
            wrong = f"entries after {last.n} were cut off: there were {self.head()}"
        return last, wrong

    def _all(self) -> Iterator[Entry]:
        after = 0
        while page := self.entries(after):
            yield from page
            after = page[-1].n


def _left_act(text: str) -> AuditEvent:
    """Returns the audit event of a row beside the chain. Any process may write such rows, so a row that
    cannot be parsed is recorded as a refusal that says so.
    """
    try:
        table = json.loads(text)
        facts = {str(name): str(value) for name, value in table.pop("facts").items()}
        event = AuditEvent(**{**table, "action": Action(table["action"]), "facts": facts})
        entry_text(0, 0.0, event)
    except (ValueError, TypeError, KeyError, AttributeError):
        return AuditEvent(
            Action.REFUSE, "unknown", "unknown", verdict="the web process recorded what cannot be read"
        )
    return event
