"""Size limits of a container's memory file systems. In: sizes in the notation of Compose and the engine. Out:
the grants that would allow them.

The kernel charges a page of such a file system to the container that wrote it first, within its `mem_limit`.
Without a limit the machine's memory is the limit, and the page stays when the process ends.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

MOST = 2 * 2**30  # bytes of all memory file systems of a container, /dev/shm among them
_PAGE = 4096
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(b|[kmgt]?i?b?)")
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_USUAL_PERCENT = 50  # of the machine's memory: the kernel's own default


def size_of(text: object) -> int:
    """Returns the bytes of a size in the notation of Compose and the engine: a number, with or without a
    unit. A text that is not a size counts as unlimited.
    """
    found = _SIZE.fullmatch(str(text or 0).lower())
    return int(float(found[1]) * _UNITS[found[2][:1]]) if found else sys.maxsize


def size_of_tmpfs(options: str) -> int:
    """Returns the bytes in the options of a tmpfs; 0 for the kernel's default or less. No limit (`size=0`)
    counts as unlimited.
    """
    pairs = [flag.strip().lower().partition("=") for flag in options.split(",")]
    sizes = [_tmpfs_bytes(value) for key, _, value in pairs if key == "size"]
    sizes += [_tmpfs_bytes(value) * _PAGE for key, _, value in pairs if key == "nr_blocks"]
    return max(sizes, default=0)


def _tmpfs_bytes(value: str) -> int:
    percent = value.removesuffix("%")
    if percent != value:
        is_usual = re.fullmatch("[0-9]{1,2}", percent) and 0 < int(percent) <= _USUAL_PERCENT
        return 0 if is_usual else sys.maxsize
    return size_of(value) or sys.maxsize


def memory_file_systems(shared: int, sizes: Iterable[int]) -> Iterator[str]:
    """Yields grants if `/dev/shm`, whose bytes are `shared`, and all tmpfs together are larger than MOST. A
    larger `/dev/shm` has its own grant and is not counted again.
    """
    if shared > MOST:
        yield "shm_size"
    if (together := sum(sizes)) and together + (shared if shared <= MOST else 0) > MOST:
        yield "tmpfs"
