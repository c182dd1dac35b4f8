"""Keys of the store: seals, opens, and marks rows. In: a key, of which a process may have the public half
only. Out: sealed values, marks and ids that no process without the key can compute.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.encryption import SealBroken, SealingKey, SecretStore
from deployer.core.errors import ConfigError, StoreUnavailable


class StoreKeys:
    """Keys of one process to the store. With a sealing key alone it seals what goes to the queue, and opens
    and marks nothing. Raises ConfigError when key and file do not belong together.
    """

    def __init__(self, database: Database, key: SecretStore | SealingKey) -> None:
        self.sealing_key = key if isinstance(key, SealingKey) else key.sealing_key
        self._secret_store = None if isinstance(key, SealingKey) else key
        self._salt = b"" if self._secret_store is None else _unseal_salt(database, self._secret_store)

    @property
    def secret_store(self) -> SecretStore:
        """Returns the secret store. Raises StoreUnavailable in a process without the key."""
        if self._secret_store is None:
            raise _no_key()
        return self._secret_store

    @property
    def has_secret(self) -> bool:
        """True if the process may open values and mark rows."""
        return self._secret_store is not None

    @property
    def audit_key(self) -> bytes | None:
        """Returns the key of the audit log's chain."""
        return hmac.digest(self._salt, b"audit", "sha256") if self.has_secret else None

    def release_id(self, app: str, content: str) -> str:
        """Returns an id that is a function of the content, and tells nothing about it."""
        return hmac.new(self._salt, f"{app}\n{content}".encode(), hashlib.sha256).hexdigest()[:16]

    def mark(self, *words: str) -> str:
        """Returns the keyed mark of a row. Raises StoreUnavailable in a process without the key."""
        if not self._salt:
            raise _no_key()
        return hmac.new(self._salt, json.dumps(words).encode(), hashlib.sha256).hexdigest()

    def marked(self, mark: str | None, *words: str) -> bool:
        """True if the mark is that of these words."""
        return hmac.compare_digest((mark or "").encode("ascii", "replace"), self.mark(*words).encode())


def _no_key() -> StoreUnavailable:
    return StoreUnavailable("this process has no key to the store", hint="`deployer worker` has it")


def _unseal_salt(database: Database, secret_store: SecretStore) -> bytes:
    """Returns the salt of marks and ids, creating it in a new database."""
    with database.write() as sql:
        row = sql.execute("SELECT salt FROM seal").fetchone()
        if row is None:
            salt = secrets.token_hex(32)
            sql.execute("INSERT INTO seal VALUES (1, ?)", (secret_store.seal("salt", salt),))
            return bytes.fromhex(salt)
    try:
        return bytes.fromhex(secret_store.open("salt", row["salt"]))
    except SealBroken:
        raise ConfigError(
            "state",
            "the key file does not fit the database",
            hint="restore the key file that belongs to deployer.db",
        ) from None
