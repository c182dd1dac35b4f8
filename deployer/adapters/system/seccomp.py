"""Seccomp filter against sockets. In: nothing. Out: the calling thread, and every program that it starts, can
create Unix sockets and no others.

Landlock restricts TCP since Linux 6.7 only, and never UDP, over which a DNS query can carry text out.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, socket(2)
_FOREIGN_CALLS = 0x40000000  # x86's second set of numbers for the same calls
_IO_URING_SETUP = 425  # with a ring a program creates sockets without socket(2)
_NO_NEW_PRIVS, _GET_SECCOMP, _SET_SECCOMP, _MODE_FILTER = 38, 21, 22, 2
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_available() -> bool:
    """True if the kernel supports filters and this architecture's numbers are known here."""
    kernel_takes = _libc.prctl(_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return kernel_takes and platform.machine() in _MACHINES


def refuse_sockets() -> None:
    """Installs the filter. Raises OSError if the kernel refuses it."""
    architecture, call = _MACHINES[platform.machine()]
    code = _filter(architecture, call)
    program = _Program(len(code) // 8, code)
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or _libc.prctl(
        _SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _filter(architecture: int, call: int) -> bytes:
    """Returns the filter's instructions. A jump counts the instructions that it skips: if the condition
    holds, and if not.
    """
    steps = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 6, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 4, 0, _FOREIGN_CALLS),
        (_EQUAL, 3, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 3, call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
