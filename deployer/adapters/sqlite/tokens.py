"""The store's part for the receiver's authentication: deliveries, spent proofs, API tokens, read tokens.
Never stores a secret itself, only its hash.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence

from deployer.adapters.sqlite.audit_log import Ledger
from deployer.adapters.sqlite.database import Database
from deployer.core.audit.events import granting, revoking
from deployer.core.auth.api_tokens import PERSON_PREFIX, READ_PREFIX, Right, Token
from deployer.core.errors import NameTaken, NotFound, StoreUnavailable, TokenRejected
from deployer.core.ports.receiver_store import Arrival, Proof
from deployer.core.queue.supersede import Outcome
from deployer.core.webhooks.delivery import Delivery


class AccessRows:
    """Implements the methods that `ports.receiver_store.Inbox` adds to `ports.Store`, except `enqueue`."""

    _ledger: Ledger

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend_proof(self, proof: Proof, now: float) -> None:
        with self._database.write() as sql:
            spend(sql, proof, now)

    def record_ignored(self, delivery: Delivery, reason: str, now: float) -> None:
        with self._database.write() as sql:
            note_arrival(sql, delivery, Outcome.IGNORED, reason, None, now)

    def issue_read_token(self, deployment_id: str, now: float) -> str:
        secret = READ_PREFIX + secrets.token_urlsafe(24)
        with self._database.write() as sql:
            sql.execute("INSERT INTO read_token VALUES (?, ?, ?)", (_sha256(secret), deployment_id, now))
        return secret

    def may_read(self, deployment_id: str, secret: str) -> bool:
        found = self._database.read(
            "SELECT 1 FROM read_token WHERE sha256 = ? AND deployment_id = ?",
            (_sha256(secret), deployment_id),
        )
        return bool(found)

    def token_of(self, secret: str) -> Token | None:
        rows = self._database.read("SELECT * FROM token WHERE sha256 = ?", (_sha256(secret),))
        return _token(rows[0]) if rows else None

    def create_token(
        self, *, name: str, app: str, can: frozenset[Right], expires_at: float | None, now: float
    ) -> str:
        secret = PERSON_PREFIX + secrets.token_urlsafe(32)
        with self._database.write() as sql:
            if sql.execute("SELECT 1 FROM token WHERE name = ?", (name,)).fetchone():
                raise NameTaken(
                    f"there is a token named {name!r}", hint="revoke that one, or take another name"
                )
            sql.execute(
                "INSERT INTO token (name, app, can, sha256, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (name, app, " ".join(sorted(can)), _sha256(secret), now, expires_at),
            )
            self._ledger.record(sql, now, granting(name, app, can, expires_at))
        return secret

    def revoke_token(self, name: str, now: float) -> None:
        with self._database.write() as sql:
            if not sql.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"no token named {name!r}", hint="`deployer token list` shows all")
            self._ledger.record(sql, now, revoking(name))

    def tokens(self) -> Sequence[Token]:
        return [_token(row) for row in self._database.read("SELECT * FROM token ORDER BY name")]

    def forge_id(self, deployment_id: str) -> int | None:
        """Returns the number of GitHub's deployment for this one."""
        rows = self._database.read("SELECT number FROM forge WHERE deployment_id = ?", (deployment_id,))
        return int(rows[0]["number"]) if rows else None

    def remember_forge_id(self, deployment_id: str, forge_id: int) -> None:
        with self._database.write() as sql:
            sql.execute("INSERT OR REPLACE INTO forge VALUES (?, ?)", (deployment_id, forge_id))

    def ready(self) -> bool:
        """True if arriving requests can be stored. Writes only if the last write failed."""
        try:
            self._database.read("SELECT 1 FROM seal")
            if self._database.failed:
                self._database.refuse_full()
                with self._database.write() as sql:
                    sql.execute("UPDATE audit_head SET n = n")
        except StoreUnavailable:
            return False
        return True


def note_arrival(
    sql: sqlite3.Connection,
    arrival: Arrival | None,
    outcome: str,
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


def spend(sql: sqlite3.Connection, proof: Proof, now: float) -> None:
    """Records the proof as spent. Raises TokenRejected if it was spent before."""
    sql.execute("DELETE FROM proof WHERE expires_at < ?", (now,))
    if not sql.execute("INSERT OR IGNORE INTO proof VALUES (?, ?)", (proof.jti, proof.expires_at)).rowcount:
        what = "the signed request" if proof.jti.startswith("signed ") else "the token"
        raise TokenRejected(f"{what} was used before", hint="every request needs a proof of its own")


def _token(row: sqlite3.Row) -> Token:
    can = frozenset(Right(word) for word in row["can"].split())
    return Token(row["name"], row["app"], can, row["created_at"], row["expires_at"])


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
