"""The store's part for confirmations: a serving release waits for external confirmation. In and out: values
of `core.release.confirmation`. The end of the wait is stored, so that a restart neither shortens nor prolongs
it.
"""

from __future__ import annotations

import sqlite3

from deployer.adapters.sqlite.audit_log import Ledger
from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.deployment_events import append_event
from deployer.adapters.sqlite.deployment_history import find_row
from deployer.adapters.sqlite.rows import deployment_of
from deployer.core.audit.events import confirmation
from deployer.core.errors import NotWaiting
from deployer.core.model import Deployment, EventKind
from deployer.core.release.confirmation import Confirmation, ConfirmationVerdict


class ConfirmationRows:
    """Implements `ports.store.Confirmations`."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def begin(self, id: str, until: float) -> Confirmation:
        with self._database.write() as sql:
            sql.execute("INSERT OR IGNORE INTO confirmation VALUES (?, ?, '', '')", (id, until))
            return _confirmation(_found(sql, id))

    def read(self, id: str) -> Confirmation:
        rows = self._database.read("SELECT * FROM confirmation WHERE deployment_id = ?", (id,))
        return _confirmation(rows[0] if rows else None)

    def end(self, id: str) -> Confirmation:
        with self._database.write() as sql:
            sql.execute(
                "UPDATE confirmation SET verdict = ? WHERE deployment_id = ? AND verdict = ''",
                (ConfirmationVerdict.MISSING, id),
            )
            return _confirmation(_found(sql, id))

    def record_verdict(self, id: str, verdict: ConfirmationVerdict, reason: str, now: float) -> Deployment:
        with self._database.write() as sql:
            if _note_verdict(sql, id, verdict, reason, now):
                append_event(sql, id, EventKind.WORD, f"{verdict}: {reason}" if reason else verdict, now)
                self._ledger.record(sql, now, confirmation(deployment_of(find_row(sql, id)), verdict, reason))
            return deployment_of(find_row(sql, id))


def _note_verdict(
    sql: sqlite3.Connection, id: str, verdict: ConfirmationVerdict, reason: str, now: float
) -> bool:
    """Stores a verdict. True if it is new. Raises NotWaiting."""
    found = _confirmation(_found(sql, id))
    if found.verdict is verdict:
        return False
    if not found.awaited(now):
        raise NotWaiting(
            f"deployment {id} does not wait for a confirmation",
            hint="its wait has not begun, or is over; `reason` of the deployment says how it ended",
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
    """Returns the row's confirmation, or an expired one if the deployment never waited for one."""
    if row is None:
        return Confirmation(0.0)
    return Confirmation(
        row["until"], ConfirmationVerdict(row["verdict"]) if row["verdict"] else None, row["reason"]
    )
