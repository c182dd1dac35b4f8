"""Secrets at rest. In: a text and its purpose. Out: bytes that only this server's key opens, for that purpose
only.

Fernet (AES-128-CBC + HMAC) from `cryptography`; several keys, newest first, so that a key can be replaced.
Fernet has no context parameter: the purpose is part of the content, so a sealed value that was moved to
another row does not open. Queue content is sealed with a sealing key, NaCl's sealed box: a process that only
accepts deploy jobs has its public half and can open nothing, not even its own values.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from deployer.adapters.system.files import make_folder, write_whole
from deployer.core.errors import ConfigError, DeployerError, StoreUnavailable

_SEALING_KEY_HINT = "`deployer worker` writes it at its start"
_KEY_HINT = "its owner must be the user that the deployer runs as, and its disk must not be full"


class SealBroken(DeployerError):
    """A sealed value does not open: wrong key, wrong purpose, or damaged."""

    code = "seal-broken"


class SealingKey:
    """Public sealing key of a secret store: seals values and opens none."""

    def __init__(self, public: bytes) -> None:
        self.public = public
        self._box = SealedBox(PublicKey(public))

    def seal(self, purpose: str, value: str) -> bytes:
        return self._box.encrypt(_content(purpose, value))


class SecretStore:
    """Secret store that seals with the first key and opens with any."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        privates = [PrivateKey(hashlib.sha256(f"slot {key}".encode()).digest()) for key in keys]
        self._boxes = [SealedBox(private) for private in privates]
        self.sealing_key = SealingKey(bytes(privates[0].public_key))

    def seal(self, purpose: str, value: str) -> bytes:
        return self._fernet.encrypt(_content(purpose, value))

    def open(self, purpose: str, sealed: bytes) -> str:
        """Opens a value that this secret store sealed. Raises SealBroken; the message contains nothing of the
        value.
        """
        try:
            return _value(purpose, self._fernet.decrypt(sealed))
        except InvalidToken:
            raise _does_not_open(purpose) from None

    def open_sealing_key(self, purpose: str, sealed: bytes) -> str:
        """Opens a value that any holder of the sealing key sealed. Raises SealBroken, and ValueError if it is
        no JSON.
        """
        for box in self._boxes:
            with suppress(CryptoError):
                return _value(purpose, box.decrypt(sealed))
        raise _does_not_open(purpose)


def _content(purpose: str, value: str) -> bytes:
    return json.dumps({"purpose": purpose, "value": value}).encode()


def _value(purpose: str, opened: bytes) -> str:
    content = json.loads(opened)
    if not isinstance(content, dict) or content.get("purpose") != purpose:
        raise SealBroken(
            f"{purpose}: was sealed for another purpose", hint="rows were moved within the database"
        )
    return str(content.get("value"))


def _does_not_open(purpose: str) -> SealBroken:
    return SealBroken(
        f"{purpose}: does not open with this server's key",
        hint="the key file and the database belong together",
    )


def read_sealing_key(path: Path) -> SealingKey | None:
    """Returns the sealing key that another process published, None until then. Raises StoreUnavailable."""
    try:
        return SealingKey(base64.b64decode(path.read_bytes(), validate=True))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror}", hint=_SEALING_KEY_HINT) from None
    except (ValueError, CryptoError):
        raise StoreUnavailable(f"{path} holds no public key", hint=_SEALING_KEY_HINT) from None


def show_sealing_key(sealing_key: SealingKey, path: Path) -> None:
    """Publishes the sealing key for processes without the secret key. Raises StoreUnavailable."""
    text = base64.b64encode(sealing_key.public).decode()
    if not path.is_file() or path.read_text(encoding="ascii", errors="replace") != text:
        write_whole(path, text, 0o644)


def open_secret_store(path: Path) -> SecretStore:
    """Opens the secret store of the key file, one key a line, creating the file on first use. Raises
    ConfigError if others may read the file, StoreUnavailable if it cannot be read or created.
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
        return SecretStore(text.decode("ascii").split())
    except ValueError:
        raise ConfigError(
            str(path), "should hold keys as `cryptography.fernet` makes them, one a line"
        ) from None


def _create(path: Path) -> None:
    """Creates the key file. Two processes may start at once: the link makes one key appear whole, and the
    other process finds it there.
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
