"""Deletion of old rows. In: the time. Out: fewer rows, so that the file stops growing. Never touches the
audit log.

Each environment of an app keeps its newest deployments, the serving one, the one before it, and the newest
run of each workflow, against which a late delivery is judged. Each transaction is short: other writers wait a
few milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from deployer.adapters.sqlite.database import Database
from deployer.core.queue.delegated_task import TaskKind

KEEP = 200  # deployments of one app's environment
KEEP_DELIVERIES = 20_000
KEEP_PLANS = 600.0  # seconds; a web process waits 45 s for its plan, or was killed
KEEP_READ_TOKENS = 7 * 86_400.0  # seconds; longer than any client follows a deployment
_AT_ONCE = 100  # deployments in one transaction
_OF_A_DEPLOYMENT = ("event", "confirmation", "forge", "read_token")  # rows deleted with it

_NEWEST_RUNS = """
SELECT (SELECT id FROM deployment WHERE app = of.app AND environment = of.environment
        AND workflow = of.workflow AND run_number IS NOT NULL
        ORDER BY run_number DESC, run_attempt DESC, seq DESC LIMIT 1)
FROM (SELECT DISTINCT app, environment, workflow FROM deployment WHERE app = ? AND environment = ?) AS of"""
_SUCCESSES = """
SELECT id, max(seq) FROM deployment WHERE app = ? AND environment = ? AND status = 'success'
GROUP BY release ORDER BY max(seq) DESC LIMIT 2"""
_OLD = """
SELECT id, release FROM deployment WHERE app = :app AND environment = :environment
AND status NOT IN ('queued', 'in_progress') AND seq <= (
    SELECT seq FROM deployment WHERE app = :app AND environment = :environment
    ORDER BY seq DESC LIMIT 1 OFFSET :keep
) ORDER BY seq LIMIT :most"""


def forget_old(database: Database, now: float) -> int:
    """Deletes old rows; returns the number of deleted deployments."""
    forgotten = 0
    for row in database.read("SELECT DISTINCT app, environment FROM deployment"):
        place = (row["app"], row["environment"])
        while _has_old(database, place):
            with database.write() as sql:
                gone = _forget_some(sql, place)
            forgotten += gone
            if not gone:
                break
    with database.write() as sql:
        sql.execute("DELETE FROM read_token WHERE created_at < ?", (now - KEEP_READ_TOKENS,))
        sql.execute("DELETE FROM proof WHERE expires_at < ?", (now,))
        sql.execute("DELETE FROM errand WHERE task = ? AND at < ?", (TaskKind.PLAN, now - KEEP_PLANS))
        sql.execute(
            "DELETE FROM delivery WHERE seq <= (SELECT max(seq) FROM delivery) - ?", (KEEP_DELIVERIES,)
        )
    return forgotten


def _has_old(database: Database, place: tuple[str, str]) -> bool:
    return bool(database.read(_OLD, _bound(place, 1)))


def _forget_some(sql: sqlite3.Connection, place: tuple[str, str]) -> int:
    kept = {row[0] for query in (_NEWEST_RUNS, _SUCCESSES) for row in sql.execute(query, place)}
    old = sql.execute(_OLD, _bound(place, _AT_ONCE + len(kept))).fetchall()
    gone = [row for row in old if row["id"] not in kept]
    for row in gone:
        _forget(sql, row["id"])
    _forget_releases(sql, place[0], [row["release"] for row in gone])
    return len(gone)


def _bound(place: tuple[str, str], most: int) -> dict[str, object]:
    return {"app": place[0], "environment": place[1], "keep": KEEP, "most": most}


def _forget(sql: sqlite3.Connection, id: str) -> None:
    for table in _OF_A_DEPLOYMENT:
        sql.execute(f"DELETE FROM {table} WHERE deployment_id = ?", (id,))
    sql.execute("DELETE FROM deployment WHERE id = ?", (id,))


def _forget_releases(sql: sqlite3.Connection, app: str, ids: Sequence[str]) -> None:
    """Deletes the releases that no deployment names any more."""
    for id in set(ids):
        sql.execute(
            "DELETE FROM release WHERE id = ? AND NOT EXISTS"
            " (SELECT 1 FROM deployment WHERE app = ? AND release = ?)",
            (id, app, id),
        )
