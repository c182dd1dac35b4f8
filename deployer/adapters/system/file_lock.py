"""Lock files, by `flock`: one rollout at a time per project and machine. In: a path. Out: the descriptor, to
be passed on to children.

A child of a killed deployer may still be creating containers: it holds the descriptor, so the next deployer
waits for it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployer.adapters.system.files import file_mode, make_folder
from deployer.core.errors import Busy, StoreUnavailable

_WAIT = 120.0
_TICK = 0.05
_HINT = "a second deployer, or a child of a killed one, is at work"


@contextmanager
def hold(path: Path, *, wait: float = _WAIT, hint: str = _HINT) -> Iterator[int]:
    """Holds the lock file at `path`; raises Busy when another process keeps it longer than `wait` seconds."""
    make_folder(path.parent)
    descriptor = _open(path)
    try:
        _take(descriptor, path, time.monotonic() + wait, hint)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(PermissionError):  # created by another user, which has set the mode
            os.fchmod(descriptor, file_mode(path.parent))
        return descriptor
    except OSError as error:
        raise StoreUnavailable(f"the lock {path} cannot be opened: {error.strerror}") from None


def is_held(path: Path) -> bool:
    """True if some process holds the lock file at `path` now. Raises StoreUnavailable."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise StoreUnavailable(f"the lock {path} cannot be looked at: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, deadline: float, hint: str) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Busy(f"another process holds {path.name}", hint=hint) from None
            time.sleep(_TICK)
        except OSError as error:
            raise StoreUnavailable(f"the lock {path} cannot be taken: {error.strerror}") from None
