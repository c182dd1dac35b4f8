"""SQLite file. In: SQL. Out: rows, committed and synced before `write` ends, or StoreUnavailable. Never
names a table.

One writer connection behind a lock: SQLite's own busy handler sleeps and starves (up to 0.6 s measured with
eight writers). Every reading thread has its own connection and sees the last commit. SQLite's own locks keep
a second process out.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from deployer.adapters.system.files import file_mode
from deployer.core.errors import StoreUnavailable

_ROOM = 1024 * 1024  # bytes that must be free before a full disk counts as usable again
_BUSY = 5.0  # seconds to wait for another process, and for another thread
_LARGEST_LOG = 16 * 1024 * 1024  # bytes of the log that stay on the disk after a checkpoint
_LOGGED = 3800  # pages of 4 KiB in the log before a checkpoint: 1000 double the slowest commits
_OUT_OF_REACH = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file system is read-only",
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "another process holds the database",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_PERM: "the file may not be opened",
    sqlite3.SQLITE_CORRUPT: "the file is corrupt",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}
_HINTS = {
    sqlite3.SQLITE_FULL: "free space; nothing that was accepted is lost",
    sqlite3.SQLITE_CORRUPT: "stop the deployer and restore the database from a backup",
    sqlite3.SQLITE_NOTADB: "stop the deployer and restore the database from a backup",
}


class Database:
    """The database at `path`, created with `schema` if it is new; `upgrades`: version → the statements that
    lead to the next version.
    """

    def __init__(
        self, path: Path, schema: str, version: int, upgrades: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._readers = threading.local()
        self.failed = False  # True if the last write failed
        with _translated():
            _create_private(path)
            self._writer = self._connect(check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.execute("PRAGMA foreign_keys=ON")
            self._writer.execute(f"PRAGMA journal_size_limit={_LARGEST_LOG}")
            self._writer.execute(f"PRAGMA wal_autocheckpoint={_LOGGED}")
            self._check()
        self._migrate(schema, version, upgrades)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Opens one transaction: on disk when the block ends, rolled back when it raises."""
        if not self._lock.acquire(timeout=_BUSY):
            raise StoreUnavailable("the database is busy", hint="try again in a few seconds")
        try:
            with _translated():
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._writer.execute("ROLLBACK")
                    raise
            self.failed = False
        except StoreUnavailable:
            self.failed = True
            raise
        finally:
            self._lock.release()

    def read(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Returns rows as of the last commit."""
        with _translated():
            connection = getattr(self._readers, "connection", None)
            if connection is None:
                connection = self._readers.connection = self._connect(check_same_thread=True)
                connection.execute("PRAGMA query_only=ON")
            rows: list[sqlite3.Row] = connection.execute(sql, values).fetchall()
            return rows

    def refuse_full(self) -> None:
        """Raises StoreUnavailable unless the disk has room for several writes: one page may still fit."""
        with _translated():
            room = os.statvfs(self._path.parent)
            if room.f_bavail * room.f_frsize < _ROOM:
                raise StoreUnavailable("the database: the disk is full", hint=_HINTS[sqlite3.SQLITE_FULL])

    def close(self) -> None:
        """Closes the writer; readers close with their threads."""
        with self._lock:
            self._writer.close()

    def _connect(self, *, check_same_thread: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=check_same_thread
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _check(self) -> None:
        found = self._writer.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreUnavailable(
                f"{self._path.name}: the file is corrupt", hint=_HINTS[sqlite3.SQLITE_CORRUPT]
            )

    def _migrate(self, schema: str, version: int, upgrades: Mapping[int, str]) -> None:
        with self.write() as sql:
            found = sql.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise StoreUnavailable(
                    f"{self._path.name} was written by a newer deployer",
                    hint="install that version or a newer one",
                )
            steps = [upgrades[older] for older in range(found, version)] if found else [schema]
            for statement in (one for step in steps for one in step.split(";\n")):
                sql.execute(statement)
            sql.execute(f"PRAGMA user_version={version}")


@contextmanager
def _translated() -> Iterator[None]:
    """Turns failures of the machine (disk, permissions, locks) into StoreUnavailable; errors that only a bug
    can cause pass through.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary result code
        if kind not in _OUT_OF_REACH:
            raise
        raise StoreUnavailable(f"the database: {_OUT_OF_REACH[kind]}", hint=_HINTS.get(kind, "")) from error
    except OSError as error:
        raise StoreUnavailable(f"the database: {error.strerror}") from error


def _create_private(path: Path) -> None:
    """Creates the file first: SQLite gives its side files the mode of the main one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.fchmod(descriptor, file_mode(path.parent))
        finally:
            os.close(descriptor)
    # Opened here for the system's own reason: SQLite would only say that the file cannot be opened.
    os.close(os.open(path, os.O_RDWR))
