"""The store's part for retention: releases of the rollback set, images that were pulled for releases, startup
durations of services. In and out: model values. Never decides anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.rows import deployment_of, unpack_release
from deployer.core.images import Image
from deployer.core.model import Deployment, Release, Status


class ReleaseRows:
    """Implements the retention methods of `ports.Store`."""

    _database: Database
    _keys: StoreKeys

    def note_pull(self, image: Image) -> None:
        with self._database.write() as sql:
            row = (image.repository, image.digest, self._keys.mark("pulled", image.repository, image.digest))
            sql.execute("INSERT OR REPLACE INTO pulled VALUES (?, ?, ?)", row)

    def pulled(self) -> Sequence[Image]:
        rows = self._database.read("SELECT * FROM pulled ORDER BY repository, digest")
        return [
            Image(row["repository"], row["digest"])
            for row in rows
            if self._keys.marked(row["mark"], "pulled", row["repository"], row["digest"])
        ]

    def forget_pull(self, image: Image) -> None:
        with self._database.write() as sql:
            sql.execute(
                "DELETE FROM pulled WHERE repository = ? AND digest = ?", (image.repository, image.digest)
            )

    def startup_times(self, app: str, environment: str) -> Mapping[str, float]:
        found = "SELECT service, seconds FROM startup WHERE app = ? AND environment = ?"
        return {name: seconds for name, seconds in self._database.read(found, (app, environment))}

    def note_startups(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        with self._database.write() as sql:
            rows = [(app, environment, service, took) for service, took in seconds.items()]
            sql.executemany("INSERT OR REPLACE INTO startup VALUES (?, ?, ?, ?)", rows)

    def releases(self) -> Sequence[Release]:
        rows = self._database.read("SELECT * FROM release")
        return [
            unpack_release(
                row["id"], row["app"], self._keys.secret_store.open(f"release {row['id']}", row["sealed"])
            )
            for row in rows
        ]

    def keep_releases(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
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
