"""The store's part for images: those pulled for releases, and those that a protected run proved. In and out:
images, `ProvenRun`s.

Every row has a mark keyed with the store's key. A process without the key reads rows and cannot write one
that a process with the key believes; the next process with the key removes a row without a valid mark.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.core.images import Image
from deployer.core.release.proven_images import KEPT, ProvenRun

_FIND = "SELECT * FROM proven WHERE app = ? AND environment = ? ORDER BY seq DESC LIMIT ?"
_OLD = (
    "DELETE FROM proven WHERE app = ? AND environment = ? AND seq <="
    " (SELECT seq FROM proven WHERE app = ? AND environment = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)"
)


class ImageRows:
    """Implements `ports.store.ImageRecords`."""

    def __init__(self, database: Database, keys: StoreKeys) -> None:
        self._database = database
        self._keys = keys

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

    def proven(self, app: str, environment: str) -> Sequence[ProvenRun]:
        rows = self._database.read(_FIND, (app, environment, KEPT))
        return [
            _run_of(row)
            for row in rows
            if not self._keys.has_secret or self._keys.marked(row["mark"], *_words(row))
        ]

    def note_proven(self, run: ProvenRun) -> None:
        images = {name: [image.repository, image.digest, run.trees.get(name, "")]
                  for name, image in run.images.items()}  # fmt: skip
        row = (run.app, run.environment, run.revision, run.combination, json.dumps(images, sort_keys=True))
        columns = "app, environment, revision, combination, images, mark"
        place = (run.app, run.environment)
        with self._database.write() as sql:
            sql.execute(
                f"INSERT INTO proven ({columns}) VALUES (?, ?, ?, ?, ?, ?)",
                (*row, self._keys.mark("proven", *row)),
            )
            sql.execute(_OLD, (*place, *place, KEPT))

    def sweep_proven(self, app: str, environment: str) -> None:
        with self._database.write() as sql:
            rows = sql.execute(
                "SELECT * FROM proven WHERE app = ? AND environment = ?", (app, environment)
            ).fetchall()
            forged = [(row["seq"],) for row in rows if not self._keys.marked(row["mark"], *_words(row))]
            sql.executemany("DELETE FROM proven WHERE seq = ?", forged)


def _words(row: sqlite3.Row) -> tuple[str, ...]:
    """Returns the words from which a row's mark is computed."""
    return (
        "proven",
        row["app"],
        row["environment"],
        row["revision"],
        row["combination"],
        row["images"],
    )


def _run_of(row: sqlite3.Row) -> ProvenRun:
    table: dict[str, list[str]] = json.loads(row["images"])
    images = {name: Image(repository, digest) for name, (repository, digest, _) in table.items()}
    trees = {name: tree for name, (_, _, tree) in table.items() if tree}
    return ProvenRun(row["app"], row["environment"], row["revision"], row["combination"], images, trees)
