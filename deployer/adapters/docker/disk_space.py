"""Free space on the engine's disk as this process can see it. In: the engine's image folder. Out: bytes, or
None if the disk cannot be seen.

On the engine's own host the folder itself is measured. A container does not see the folder, but its own root
is an overlay whose upper layer lies in it, and the kernel reports the free space of the disk below the
overlay. Format: proc_pid_mountinfo(5), super options `upperdir=PATH`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_ROOT = re.compile(r"^\S+ \S+ \S+ \S+ / .* - overlay \S+ (?:\S*,)?upperdir=([^,\s]+)", re.MULTILINE)


def free_for(root: str, mounts: Path = Path("/proc/self/mountinfo")) -> int | None:
    """Returns the free bytes of `root`, the engine's `DockerRootDir`. The engine's host must be this
    machine.
    """
    place = "/" if _upper_layer(mounts).startswith(f"{root.rstrip('/')}/") else root
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _upper_layer(mounts: Path) -> str:
    """Returns the upper layer of this process's root, empty if the root is not an overlay."""
    try:
        found = _ROOT.search(mounts.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found.group(1) if found else ""
