"""Landlock, the kernel's sandbox for programs without privileges. In: paths and rights. Out: the calling
thread, and every program that it starts, has no other access to files, TCP ports, abstract sockets and
processes.

Rights that a kernel does not know are left out, so that an old one confines as far as it can.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# Rights over a file, and over the content of a folder.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVS = 38
_LAST_FILE_RIGHT = {1: 12, 2: 13, 3: 14, 4: 14}  # ABI → its highest bit
_NEWEST_FILE_RIGHT = 15  # IOCTL_DEV, since ABI 5
_TCP_SINCE, _BIND_AND_CONNECT = 4, 0b11
_SCOPES_SINCE, _ABSTRACT_SOCKETS_AND_SIGNALS = 6, 0b11

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> tuple[int, str]:
    """Returns the kernel's ABI, 1 or more; or 0 and the reason why Landlock is missing."""
    found = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if found > 0:
        return int(found), ""
    why = {
        errno.ENOSYS: "the kernel has no Landlock",
        errno.EOPNOTSUPP: "Landlock is switched off in this kernel",
        errno.EPERM: "a seccomp profile forbids Landlock",
    }
    return 0, why.get(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")


def restrict_thread(rules: Iterable[tuple[str, int]], abi: int) -> None:
    """Removes from the calling thread, for ever, every right except these over paths; a missing path is left
    out. Raises OSError if the kernel refuses.
    """
    files = (1 << (_LAST_FILE_RIGHT.get(abi, _NEWEST_FILE_RIGHT) + 1)) - 1
    with _ruleset(files, abi) as descriptor:
        for path, rights in rules:
            _allow(descriptor, path, rights & files)
        _call(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
        _call(_libc.syscall(_RESTRICT_SELF, descriptor, ctypes.c_uint32(0)))


@contextmanager
def _ruleset(files: int, abi: int) -> Iterator[int]:
    table = _Ruleset(
        files,
        _BIND_AND_CONNECT if abi >= _TCP_SINCE else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if abi >= _SCOPES_SINCE else 0,
    )
    size = ctypes.c_size_t(ctypes.sizeof(table))  # an older kernel accepts zeros in unknown fields
    descriptor = _call(_libc.syscall(_CREATE_RULESET, ctypes.byref(table), size, ctypes.c_uint32(0)))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        rule = _PathBeneath(rights, parent)
        _call(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)))
    finally:
        os.close(parent)


def _call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return int(result)
