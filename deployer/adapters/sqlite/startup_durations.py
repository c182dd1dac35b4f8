"""The store's part for startup durations of services. In and out: service → seconds."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.adapters.sqlite.database import Database


class StartupRows:
    """Implements `ports.store.StartupDurations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, app: str, environment: str) -> Mapping[str, float]:
        found = "SELECT service, seconds FROM startup WHERE app = ? AND environment = ?"
        return {name: seconds for name, seconds in self._database.read(found, (app, environment))}

    def note(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        with self._database.write() as sql:
            rows = [(app, environment, service, took) for service, took in seconds.items()]
            sql.executemany("INSERT OR REPLACE INTO startup VALUES (?, ?, ?, ?)", rows)
