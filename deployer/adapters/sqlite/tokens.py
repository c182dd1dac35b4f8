"""The store's part for tokens: API tokens of persons, read tokens of deployments. In: secrets. Out: tokens.
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
from deployer.core.errors import NameTaken, NotFound


class TokenRows:
    """Implements `ports.receiver_store.Tokens`."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def find(self, secret: str) -> Token | None:
        rows = self._database.read("SELECT * FROM token WHERE sha256 = ?", (_sha256(secret),))
        return _token(rows[0]) if rows else None

    def create(
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

    def revoke(self, name: str, now: float) -> None:
        with self._database.write() as sql:
            if not sql.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"no token named {name!r}", hint="`deployer token list` shows all")
            self._ledger.record(sql, now, revoking(name))

    def all(self) -> Sequence[Token]:
        return [_token(row) for row in self._database.read("SELECT * FROM token ORDER BY name")]


class ReadTokenRows:
    """Implements `ports.receiver_store.ReadTokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, deployment_id: str, now: float) -> str:
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


def _token(row: sqlite3.Row) -> Token:
    can = frozenset(Right(word) for word in row["can"].split())
    return Token(row["name"], row["app"], can, row["created_at"], row["expires_at"])


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
