"""The store's part for what is known of deployments beside their own rows. In and out: ids."""

from __future__ import annotations

from deployer.adapters.sqlite.database import Database


class GitHubIdRows:
    """Implements `adapters.github.forge.Ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forge_id(self, deployment_id: str) -> int | None:
        """Returns the number of GitHub's deployment for this one."""
        rows = self._database.read("SELECT number FROM forge WHERE deployment_id = ?", (deployment_id,))
        return int(rows[0]["number"]) if rows else None

    def remember_forge_id(self, deployment_id: str, forge_id: int) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO forge VALUES (?, ?)", (deployment_id, forge_id))
