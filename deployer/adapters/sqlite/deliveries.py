"""The store's part for missed deliveries: the time up to which each webhook's record was searched, and the
deliveries that arrived. In and out: times and GUIDs.
"""

from __future__ import annotations

from deployer.adapters.sqlite.database import Database


class RecoveryRows:
    """Implements the redelivery methods of `ports.receiver_store.Inbox`."""

    _database: Database

    def looked_at(self, hook: str) -> float | None:
        rows = self._database.read("SELECT at FROM looked WHERE hook = ?", (hook,))
        return float(rows[0]["at"]) if rows else None

    def note_look(self, hook: str, now: float) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (hook, now))

    def was_delivered(self, guid: str) -> bool:
        return bool(self._database.read("SELECT 1 FROM delivery WHERE guid = ? LIMIT 1", (guid,)))
