"""The store's part for the events of deployments. In: kinds and texts. Out: events, numbered from 1 within
their deployment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from deployer.adapters.sqlite.database import Database
from deployer.core.model import Event

_MAX_TEXT = 20_000  # characters of one event


class EventRows:
    """Implements `ports.store.DeploymentEvents`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, id: str, kind: str, text: str, now: float) -> None:
        with self._database.write() as sql:
            append_event(sql, id, kind, text, now)

    def read(self, id: str, after: int = 0) -> Sequence[Event]:
        rows = self._database.read(
            "SELECT n, at, kind, text FROM event WHERE deployment_id = ? AND n > ? ORDER BY n", (id, after)
        )
        return [Event(*row) for row in rows]


def append_event(sql: sqlite3.Connection, id: str, kind: str, text: str, now: float) -> None:
    """Appends an event within the caller's transaction."""
    sql.execute(
        "INSERT INTO event SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ? FROM event WHERE deployment_id = ?",
        (id, now, kind, plain(text), id),
    )


def plain(text: str) -> str:
    """Returns the text, cut and encodable: a child's output may hold half surrogates, which SQLite cannot
    store.
    """
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()
