"""Room on the engine's disk as this process can see it. In: where the engine keeps its images. Out: bytes, or
None where nobody can say.

On the engine's own host that folder is asked. In a container it is not there, but the container's own root
is: an overlay whose upper layer lies in that folder, and the kernel gives an overlay's room as that of the
disk below it. Format: proc_pid_mountinfo(5), super options `upperdir=PATH`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_ROOT = re.compile(r"^\S+ \S+ \S+ \S+ / .* - overlay \S+ (?:\S*,)?upperdir=([^,\s]+)", re.MULTILINE)


def free_for(root: str, mounts: Path = Path("/proc/self/mountinfo")) -> int | None:
    """`root`: the engine's `DockerRootDir`, a path on the engine's host, which must be this machine."""
    place = "/" if _upper(mounts).startswith(f"{root.rstrip('/')}/") else root
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _upper(mounts: Path) -> str:
    """Where what this process's root changes lies; empty where its root is no overlay."""
    try:
        found = _ROOT.search(mounts.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found.group(1) if found else ""
