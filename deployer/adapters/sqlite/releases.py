"""The store's part for releases. In: releases, sealed before they are stored. Out: releases, under an id that
is a function of their content. Never decides which ones are kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from deployer.adapters.sqlite.audit_log import Ledger
from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.deployment_history import find_row
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.rows import deployment_of, pack_release, unpack_release
from deployer.core.audit.events import completion
from deployer.core.auth.job_authorization import no_release
from deployer.core.model import Deployment, Release, Status


class ReleaseRows:
    """Implements `ports.store.Releases`."""

    def __init__(self, database: Database, keys: StoreKeys, ledger: Ledger) -> None:
        self._database = database
        self._keys = keys
        self._ledger = ledger

    def save(self, deployment_id: str, draft: Release, now: float) -> Release:
        content = pack_release(draft)
        id = self._keys.release_id(draft.app, content)
        with self._database.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO release VALUES (?, ?, ?, ?)",
                (id, draft.app, draft.revision, self._keys.secret_store.seal(f"release {id}", content)),
            )
            sql.execute("UPDATE deployment SET release = ? WHERE id = ?", (id, deployment_id))
            deployment = deployment_of(find_row(sql, deployment_id))
            self._ledger.record(sql, now, completion(deployment, draft.images))
        return unpack_release(id, draft.app, content)

    def get(self, id: str) -> Release:
        rows = self._database.read("SELECT * FROM release WHERE id = ?", (id,))
        if not rows:
            raise no_release("the store", id)
        opened = self._keys.secret_store.open(f"release {id}", rows[0]["sealed"])
        return unpack_release(id, rows[0]["app"], opened)

    def revision_of(self, app: str, release: str) -> str:
        rows = self._database.read("SELECT revision FROM release WHERE id = ? AND app = ?", (release, app))
        if not rows:
            raise no_release(app, release)
        return str(rows[0]["revision"])

    def all(self) -> Sequence[Release]:
        rows = self._database.read("SELECT * FROM release")
        return [
            unpack_release(
                row["id"], row["app"], self._keys.secret_store.open(f"release {row['id']}", row["sealed"])
            )
            for row in rows
        ]

    def keep(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
        with self._database.write() as sql:  # else a release saved meanwhile would be deleted
            rows = sql.execute("SELECT * FROM deployment WHERE app = ? ORDER BY seq DESC", (app,)).fetchall()
            kept = choose([deployment_of(row) for row in rows if self._believes(row)])
            found = sql.execute("SELECT id FROM release WHERE app = ?", (app,)).fetchall()
            gone = [row["id"] for row in found if row["id"] not in kept]
            sql.executemany("DELETE FROM release WHERE id = ?", [(id,) for id in gone])
            return len(gone)

    def _believes(self, row: sqlite3.Row) -> bool:
        return row["status"] != Status.SUCCESS or self._keys.marked(*served_mark(row))


def served_mark(row: sqlite3.Row) -> tuple[str | None, str, str, str, str, str]:
    """Returns the mark of a successful deployment and the words from which it is computed."""
    return row["mark"], "served", row["id"], row["app"], row["environment"], row["release"]
