"""The store's part for deliveries that were missed: until when each hook's record was looked at, and which
deliveries came through the door.
"""

from __future__ import annotations

from deployer.adapters.sqlite.database import Database


class RecoveryRows:
    """Implements the recovery's part of `core.inbox.Inbox`."""

    _database: Database

    def looked_at(self, hook: str) -> float | None:
        rows = self._database.read("SELECT at FROM looked WHERE hook = ?", (hook,))
        return float(rows[0]["at"]) if rows else None

    def note_look(self, hook: str, now: float) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (hook, now))

    def was_delivered(self, guid: str) -> bool:
        return bool(self._database.read("SELECT 1 FROM delivery WHERE guid = ? LIMIT 1", (guid,)))
