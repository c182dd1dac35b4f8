"""The store's part for confirmations: a release that serves waits for a word from outside. In and out: values
of `core.confirmation`. The wait's end is kept, so that a restart neither shortens nor prolongs it.
"""

from __future__ import annotations

import sqlite3

from deployer.adapters.sqlite.database import Database
from deployer.core.errors import NotWaiting
from deployer.core.release.confirmation import Confirmation, Verdict


class ConfirmationRows:
    """Implements what `ports.Store` and `core.inbox.Inbox` say of confirmations."""

    _database: Database

    def await_word(self, id: str, until: float) -> Confirmation:
        with self._database.write() as sql:
            sql.execute("INSERT OR IGNORE INTO confirmation VALUES (?, ?, '', '')", (id, until))
            return _confirmation(_found(sql, id))

    def word(self, id: str) -> Confirmation:
        rows = self._database.read("SELECT * FROM confirmation WHERE deployment_id = ?", (id,))
        return _confirmation(rows[0] if rows else None)

    def stop_waiting(self, id: str) -> Confirmation:
        with self._database.write() as sql:
            sql.execute(
                "UPDATE confirmation SET verdict = ? WHERE deployment_id = ? AND verdict = ''",
                (Verdict.MISSING, id),
            )
            return _confirmation(_found(sql, id))


def note_word(sql: sqlite3.Connection, id: str, verdict: Verdict, reason: str, now: float) -> bool:
    """Whether the word is new. Raises NotWaiting."""
    found = _confirmation(_found(sql, id))
    if found.verdict is verdict:
        return False
    if not found.awaited(now):
        raise NotWaiting(
            f"deployment {id} does not wait for a confirmation",
            hint="it does not wait yet, or its time is over; `reason` of the deployment says how it ended",
        )
    sql.execute(
        "UPDATE confirmation SET verdict = ?, reason = ? WHERE deployment_id = ?", (verdict, reason, id)
    )
    return True


def _found(sql: sqlite3.Connection, id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = sql.execute(
        "SELECT * FROM confirmation WHERE deployment_id = ?", (id,)
    ).fetchone()
    return row


def _confirmation(row: sqlite3.Row | None) -> Confirmation:
    """Of a deployment that never waited: one whose time is over."""
    if row is None:
        return Confirmation(0.0)
    return Confirmation(row["until"], Verdict(row["verdict"]) if row["verdict"] else None, row["reason"])
