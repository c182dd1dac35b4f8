"""Memory settings of the C library. In: nothing. Out: a process with threads that share the memory of large
bodies.

glibc gives every thread an arena of its own and maps each large block anew: with 128 threads and bodies of 1
MB that held 130 MB and spent half of the time in page faults. One arena that keeps a few free MB holds 81 MB
and takes twice as many such bodies (`script/bench receiver`). Another C library has nothing to set.
"""

from __future__ import annotations

import contextlib
import ctypes

_ARENA_MAX, _TRIM_THRESHOLD, _MMAP_THRESHOLD = -8, -1, -3  # malloc.h
_LARGE, _KEPT = 8 << 20, 16 << 20  # bytes: larger blocks are mapped singly; free bytes kept for reuse


def share_memory() -> None:
    """Applies to the whole process; must be called before threads are started."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)
