"""The store's part for arrivals: deliveries of webhooks, the time up to which each webhook's record was
searched, spent proofs. In and out: deliveries, proofs, times and GUIDs.
"""

from __future__ import annotations

import sqlite3

from deployer.adapters.sqlite.database import Database
from deployer.core.errors import TokenRejected
from deployer.core.ports.arrivals import Arrival, Proof
from deployer.core.queue.supersede import Outcome
from deployer.core.webhooks.delivery import Delivery


class DeliveryRows:
    """Implements `ports.arrivals.Deliveries`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_ignored(self, delivery: Delivery, reason: str, now: float) -> None:
        with self._database.write() as sql:
            note_arrival(sql, delivery, Outcome.IGNORED, reason, None, now)

    def was_delivered(self, guid: str) -> bool:
        return bool(self._database.read("SELECT 1 FROM delivery WHERE guid = ? LIMIT 1", (guid,)))

    def looked_at(self, hook: str) -> float | None:
        rows = self._database.read("SELECT at FROM looked WHERE hook = ?", (hook,))
        return float(rows[0]["at"]) if rows else None

    def note_look(self, hook: str, now: float) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (hook, now))


class ProofRows:
    """Implements `ports.arrivals.Proofs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend(self, proof: Proof, now: float) -> None:
        with self._database.write() as sql:
            spend_proof(sql, proof, now)


def note_arrival(
    sql: sqlite3.Connection,
    arrival: Arrival | None,
    outcome: Outcome,
    reason: str,
    deployment_id: str | None,
    now: float,
) -> None:
    """Records a delivery and its outcome; a proof was recorded when it was spent."""
    if isinstance(arrival, Delivery):
        sql.execute(
            "INSERT INTO delivery (guid, event, body_sha256, received_at, outcome, reason, deployment_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (arrival.guid, arrival.event, arrival.body_sha256, now, outcome, reason, deployment_id),
        )


def spend_proof(sql: sqlite3.Connection, proof: Proof, now: float) -> None:
    """Records the proof as spent. Raises TokenRejected if it was spent before."""
    sql.execute("DELETE FROM proof WHERE expires_at < ?", (now,))
    if not sql.execute("INSERT OR IGNORE INTO proof VALUES (?, ?)", (proof.jti, proof.expires_at)).rowcount:
        what = "the signed request" if proof.jti.startswith("signed ") else "the token"
        raise TokenRejected(f"{what} was used before", hint="every request needs a proof of its own")
