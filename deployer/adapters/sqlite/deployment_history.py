"""The store's part for the record of deployments: which serves, which served before, how they went, and their
numbers on GitHub. In and out: model values.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.rows import deployment_of
from deployer.core.errors import NotFound
from deployer.core.model import Availability, Deployment

_MOST_NAMED = 3  # ids that an error names


class DeploymentRows:
    """Implements `ports.store.Deployments`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, id: str) -> Deployment:
        rows = self._database.read("SELECT * FROM deployment WHERE id = ?", (id,))
        if not rows:
            raise NotFound(
                f"no deployment {id}", hint="`deployer history APP` shows their ids, 24 digits each"
            )
        return deployment_of(rows[0])

    def find(self, beginning: str) -> Deployment:
        rows = self._database.read(
            "SELECT * FROM deployment WHERE substr(id, 1, length(?)) = ? ORDER BY seq DESC LIMIT ?",
            (beginning, beginning, _MOST_NAMED),
        )
        if len(rows) > 1 and beginning:
            named = ", ".join(deployment_of(row).id for row in rows)
            raise NotFound(f"more than one deployment begins with {beginning}", hint=f"such as {named}")
        return deployment_of(rows[0]) if rows and beginning else self.get(beginning)

    def history(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]:
        return self._find("1", (app, environment), limit)

    def serving(self, app: str, environment: str) -> Deployment | None:
        return next(iter(self._find("status = 'success'", (app, environment), 1)), None)

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        found = self._find("status = 'success' AND release <> ?", (app, environment, release), 1)
        return next(iter(found), None)

    def note_measured(self, id: str, measured: Availability) -> None:
        with self._database.write() as sql:
            text = json.dumps(asdict(measured))
            sql.execute("UPDATE deployment SET measured = ? WHERE id = ?", (text, id))

    def _find(self, condition: str, values: tuple[str, ...], limit: int) -> list[Deployment]:
        """Returns deployments, newest first. `condition` is this module's own text; values are bound."""
        of = "SELECT * FROM deployment WHERE app = ? AND environment = ?"
        sql = f"{of} AND {condition} ORDER BY seq DESC LIMIT ?"
        return [deployment_of(row) for row in self._database.read(sql, (*values, limit))]


class GitHubIdRows:
    """Implements `Ledger` of `adapters/github/status_reports.py`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forge_id(self, deployment_id: str) -> int | None:
        """Returns the number of GitHub's deployment for this one."""
        rows = self._database.read("SELECT number FROM forge WHERE deployment_id = ?", (deployment_id,))
        return int(rows[0]["number"]) if rows else None

    def remember_forge_id(self, deployment_id: str, forge_id: int) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO forge VALUES (?, ?)", (deployment_id, forge_id))


def find_row(sql: sqlite3.Connection, id: str) -> sqlite3.Row:
    """Returns a deployment's row within the caller's transaction. Raises NotFound."""
    row: sqlite3.Row | None = sql.execute("SELECT * FROM deployment WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NotFound(f"no deployment {id}")
    return row
