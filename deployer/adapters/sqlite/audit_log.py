"""The store's audit log: append-only, chained (`core/audit.py`). In: acts, within the transaction
of what they record. Out: entries.

Refusals are folded (`core/refusal_fold.py`): who floods the door with wrong signatures must fill neither the
disk nor the writer's time.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

from deployer.adapters.sqlite.database import Database
from deployer.core.audit.chain import START, Act, Action, Entry, entry_text, find_break, link
from deployer.core.audit.refusal_fold import RefusalFold
from deployer.core.errors import StoreUnavailable

_PAGE = 1_000
_HEAD = f"""
SELECT coalesce(max(n), 0), coalesce((SELECT hash FROM audit ORDER BY n DESC LIMIT 1), '{START}'),
EXISTS (SELECT 1 FROM audit_pending) FROM audit"""


class Ledger:
    """Appends entries; `key` is the server's own. A process without it leaves them beside the chain, for one
    that has it.
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

    def record(self, sql: sqlite3.Connection, now: float, *acts: Act) -> None:
        """All of one transaction at once, in their order."""
        self.record_timed(sql, [(now, act) for act in acts])

    def record_timed(self, sql: sqlite3.Connection, acts: Sequence[tuple[float, Act]]) -> None:
        """Acts with a time of their own each."""
        if self.keyed:
            self._link(sql, acts)
        else:
            left = [(at, json.dumps(asdict(act))) for at, act in acts]
            sql.executemany("INSERT INTO audit_pending (at, act) VALUES (?, ?)", left)

    def absorb(self, sql: sqlite3.Connection) -> None:
        """Links what was left beside the chain, oldest first."""
        self._link(sql, [])

    def _link(self, sql: sqlite3.Connection, acts: Sequence[tuple[float, Act]]) -> None:
        n, before, waiting = sql.execute(_HEAD).fetchone()
        if waiting:
            left = sql.execute("SELECT at, act FROM audit_pending ORDER BY seq").fetchall()
            acts = [*((row["at"], _left_act(row["act"])) for row in left), *acts]
            sql.execute("DELETE FROM audit_pending")
        entries = []
        for at, act in acts:
            n += 1
            text = entry_text(n, at, act)
            before = link(self.key, before, text)
            entries.append((n, text, before))
        sql.executemany("INSERT INTO audit VALUES (?, ?, ?)", entries)
        sql.execute("UPDATE audit_head SET n = ?", (n,))

    def fold(self, act: Act, now: float) -> list[tuple[float, Act]]:
        """Acts to record, with their times, after one more refusal."""
        with self._lock:
            return self._refusals.note(act, now)

    def unfold(self, now: float | None = None) -> list[tuple[float, Act]]:
        """Acts to record of refusals of a day that is over; of all refusals without `now`."""
        with self._lock:
            return self._refusals.end() if now is None else self._refusals.end_day(now)


class AuditRows:
    """Implements the audit's part of `core.inbox.Inbox`."""

    _database: Database
    _ledger: Ledger

    def record_refusal(self, act: Act, now: float) -> None:
        self._record_timed(self._ledger.fold(act, now))

    def end_refusals(self, now: float | None = None) -> None:
        """Records the numbers of refusals of a day that is over; of all that are counted without `now`."""
        with suppress(StoreUnavailable):  # a number less is no reason to fail for
            self._record_timed(self._ledger.unfold(now))

    def _record_timed(self, acts: Sequence[tuple[float, Act]]) -> None:
        if acts:
            with self._database.write() as sql:
                self._ledger.record_timed(sql, acts)

    def absorb(self) -> None:
        """Takes what a process without the key recorded into the chain."""
        if self._ledger.keyed and self._database.read("SELECT 1 FROM audit_pending LIMIT 1"):
            with self._database.write() as sql:
                self._ledger.absorb(sql)

    def audit(self, after: int = 0, limit: int = _PAGE) -> list[Entry]:
        """Entries after number `after`, oldest first."""
        rows = self._database.read(
            "SELECT n, text, hash FROM audit WHERE n > ? ORDER BY n LIMIT ?", (after, limit)
        )
        return [Entry(row["n"], row["text"], row["hash"]) for row in rows]

    def audit_head(self) -> int:
        """The newest entry's number, 0 where there is none."""
        self.absorb()
        return int(self._database.read("SELECT n FROM audit_head")[0]["n"])

    def verify_audit(self) -> tuple[Entry, str]:
        """The last entry that holds, and what is wrong after it: empty where the whole log holds."""
        self.absorb()
        last, wrong = find_break(self._ledger.key, self._all())
        if not wrong and last.n != self.audit_head():
            wrong = f"entries after {last.n} were cut off: there were {self.audit_head()}"
        return last, wrong

    def _all(self) -> Iterator[Entry]:
        after = 0
        while page := self.audit(after):
            yield from page
            after = page[-1].n


def _left_act(text: str) -> Act:
    """Whoever may write beside the chain may write anything; what cannot be read is recorded as that."""
    try:
        table = json.loads(text)
        facts = {str(name): str(value) for name, value in table.pop("facts").items()}
        act = Act(**{**table, "action": Action(table["action"]), "facts": facts})
        entry_text(0, 0.0, act)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Act(
            Action.REFUSE, "unknown", "unknown", verdict="the web process recorded what cannot be read"
        )
    return act
