"""Files written completely or not at all, also after a crash, and their folders. In: paths, text, modes.

Modes apply exactly as given: a server that starts with `umask 077` must not create files that no container
can read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path

from deployer.core.errors import ConfigError, StoreUnavailable

_HINT = "is the disk of the state folder full or read-only?"
_UNFINISHED = ".unfinished"
_SHARED = stat.S_ISGID | stat.S_IRWXG
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes beside the path, then renames over it. A file that holds the text already is left alone: a
    rollback on a full disk must not fail for it. Raises StoreUnavailable and leaves the old content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{_UNFINISHED}")
    try:
        if _holds(path, text.encode(), mode):
            return
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, _NEW, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreUnavailable(f"{path.name} cannot be written: {error.strerror}", hint=_HINT) from None


def file_mode(folder: Path) -> int:
    """Returns the mode of new files in this folder: the group gets the owner's access if the folder is shared
    with it by `chmod 2770`; other users get none.
    """
    return 0o660 if folder.stat().st_mode & _SHARED == _SHARED else 0o600


def read_private(path: str, setting: str, encoding: str = "utf-8") -> str:
    """Returns the text of a file of secrets. Raises ConfigError if it cannot be read, or if other users of
    the machine can read it.
    """
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            raise ConfigError(setting, f"{path} cannot be read: it is no file")
        text = Path(path).read_text(encoding=encoding)
    except OSError as error:
        raise ConfigError(
            setting, f"{path} cannot be read: {error.strerror}", hint=owner_hint(error, path)
        ) from None
    except ValueError:  # not UTF-8, or a path with a zero byte
        raise ConfigError(setting, f"{path} cannot be read: it is no text") from None
    if mode & stat.S_IRWXO:
        raise ConfigError(setting, f"{path} is open to every user of this machine", hint=f"chmod 600 {path}")
    return text


def owner_hint(error: OSError, path: str | Path) -> str:
    """Returns the next step for a file of another user; empty if permissions are not the problem."""
    if not isinstance(error, PermissionError):
        return ""
    return f"the deployer runs as user {os.geteuid()}: `chown {os.geteuid()} {path}`"


def _holds(path: Path, content: bytes, mode: int) -> bool:
    """True if the path is a file with this content and mode. A link never is, wherever it leads; an
    unreadable file may still be replaced.
    """
    try:
        found = path.lstat()
        alike = (found.st_mode, found.st_size, found.st_nlink) == (stat.S_IFREG | mode, len(content), 1)
        return alike and path.read_bytes() == content
    except OSError:
        return False


def sweep(folder: Path, *, deep: bool = True) -> None:
    """Removes the unfinished files of a killed server, some of them secrets. The caller must be the folder's
    only user.
    """
    for path in folder.glob(f"{'**/' if deep else ''}.*{_UNFINISHED}"):
        with contextlib.suppress(OSError):
            path.unlink()


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Creates the folder and its missing parents, each with this mode; existing ones stay as they are. Raises
    StoreUnavailable.
    """
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir():
                folder.mkdir(mode, exist_ok=True)
                folder.chmod(mode)
    except OSError as error:
        raise StoreUnavailable(
            f"the folder {path} cannot be created: {error.strerror}",
            hint="its owner must be the user that the deployer runs as",
        ) from None
