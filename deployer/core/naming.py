"""What apps, environments and the files of a bundle may be called. In: a name. Out: whether it is one."""

from __future__ import annotations

import posixpath
import re

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\0\n\r\\]{1,255}")


def is_bundle_path(path: str) -> bool:
    """Whether `path` names one file inside the folder it is written to, and in one spelling only."""
    return _PATH.fullmatch(path) is not None and posixpath.normpath(path) == path != "."
