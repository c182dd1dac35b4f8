"""The store's part for what is kept: releases of the rollback set, images that were pulled for releases. In
and out: nouns. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from deployer.adapters.database import Database
from deployer.adapters.store_rows import deployment_of, unpack_release
from deployer.adapters.vault import Vault
from deployer.core.errors import StoreUnavailable
from deployer.core.images import Image
from deployer.core.model import Deployment, Release


class ReleaseRows:
    """Implements what `ports.Store` says of retention."""

    _database: Database
    _key: Vault | None

    @property
    def _vault(self) -> Vault:
        if self._key is None:
            raise StoreUnavailable("this process has no key to the store", hint="`deployer worker` has it")
        return self._key

    def note_pull(self, image: Image) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR IGNORE INTO pulled VALUES (?, ?)", (image.repository, image.digest))

    def pulled(self) -> Sequence[Image]:
        rows = self._database.read("SELECT repository, digest FROM pulled ORDER BY repository, digest")
        return [Image(row["repository"], row["digest"]) for row in rows]

    def forget_pull(self, image: Image) -> None:
        with self._database.write() as sql:
            sql.execute(
                "DELETE FROM pulled WHERE repository = ? AND digest = ?", (image.repository, image.digest)
            )

    def releases(self) -> Sequence[Release]:
        rows = self._database.read("SELECT * FROM release")
        return [
            unpack_release(row["id"], row["app"], self._vault.open(f"release {row['id']}", row["sealed"]))
            for row in rows
        ]

    def all_deployments(self, app: str) -> Sequence[Deployment]:
        rows = self._database.read("SELECT * FROM deployment WHERE app = ? ORDER BY seq DESC", (app,))
        return [deployment_of(row) for row in rows]

    def keep_releases(self, app: str, kept: Collection[str]) -> int:
        with self._database.write() as sql:
            found = sql.execute("SELECT id FROM release WHERE app = ?", (app,)).fetchall()
            gone = [row["id"] for row in found if row["id"] not in kept]
            sql.executemany("DELETE FROM release WHERE id = ?", [(id,) for id in gone])
            return len(gone)
