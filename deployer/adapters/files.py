"""Files written whole or not at all, also after a crash. In: path and text."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from deployer.core.errors import StoreUnavailable

_HINT = "is the disk of the state folder full or read-only?"


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes beside the path, then renames over it. Raises StoreUnavailable; what stood there stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreUnavailable(f"{path.name} cannot be written: {error.strerror}", hint=_HINT) from None
