"""Secrets at rest. In: text and what it is for. Out: bytes that only this server's key opens, for that
purpose only.

Fernet (AES-128-CBC + HMAC) from `cryptography`; several keys, newest first, so that a key can be replaced.
Fernet knows no context: the purpose stands inside, so a sealed value that was moved to another row does not
open.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from deployer.adapters.files import make_folder
from deployer.core.errors import ConfigError, DeployerError, StoreUnavailable

_KEY_HINT = "its owner must be the user that the deployer runs as, and its disk must not be full"


class SealBroken(DeployerError):
    """A sealed value does not open: another key, another purpose, or damaged."""

    code = "seal-broken"


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, purpose: str, value: str) -> bytes:
        return self._fernet.encrypt(json.dumps({"purpose": purpose, "value": value}).encode())

    def open(self, purpose: str, sealed: bytes) -> str:
        """Raises SealBroken; the message holds nothing of the value."""
        try:
            content = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise SealBroken(
                f"{purpose}: does not open with this server's key",
                hint="the key file and the database belong together",
            ) from None
        if content["purpose"] != purpose:
            raise SealBroken(
                f"{purpose}: was sealed for another purpose", hint="somebody moved rows in the database"
            )
        return str(content["value"])


def open_vault(path: Path) -> Vault:
    """The vault of the key file, one key a line, made on first use. Raises ConfigError where others may read
    it, StoreUnavailable where it cannot be read or made.
    """
    try:
        if not path.exists():
            _create(path)
        mode, text = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except OSError as error:
        raise StoreUnavailable(
            f"the key file {path} cannot be read or made: {error.strerror}", hint=_KEY_HINT
        ) from None
    if mode & 0o077:
        raise ConfigError(str(path), "should be readable by its owner only", hint=f"chmod 600 {path}")
    try:
        return Vault(text.decode("ascii").split())
    except ValueError:
        raise ConfigError(
            str(path), "should hold keys as `cryptography.fernet` makes them, one a line"
        ) from None


def _create(path: Path) -> None:
    """Two processes may start at once: the link makes one key appear whole, and the other process finds it
    there.
    """
    make_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=".key", dir=path.parent)  # for its owner only
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
