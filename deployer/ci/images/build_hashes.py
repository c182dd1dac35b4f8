"""Hashes of a build's files. In: bake's definition. Out: the tree of every target, from the files on the disk
now.

Never uses git's own hashes: a previous step may have made files, and filters may have changed them. Files
that the `.dockerignore` hides are not read, and neither is `.git`: a build that writes the commit into the
image takes it as an argument.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deployer.core.build.build_hash import Places, find_places, hash_tree, hash_value
from deployer.core.build.dockerignore import Ignore, parse_ignore

_THREADS = 4


def read_trees(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns target → tree; empty if it cannot be determined."""
    found: dict[str, str] = {}
    for name in targets:
        _read(name, targets, found)
    return found


def _read(name: str, targets: Mapping[str, Mapping[str, Any]], found: dict[str, str]) -> str:
    if name not in found:
        found[name] = ""  # a target in a cycle has no tree
        places = find_places(targets[name]) if name in targets else None
        if places is not None:
            found[name] = _tree(name, places, targets, found)
    return found[name]


def _tree(name: str, places: Places, targets: Mapping[str, Mapping[str, Any]], found: dict[str, str]) -> str:
    contents = {key: _read(other, targets, found) for key, other in places.targets.items()}
    dockerfile = Path(places.folders[""]) / places.dockerfile if places.dockerfile else None
    try:
        for key, place in places.folders.items():
            contents[key] = hash_folder(Path(place), _ignore(Path(place), None if key else dockerfile))
        if dockerfile and not dockerfile.is_file():
            raise _Unclear
        text = _hash_file(dockerfile) if dockerfile else ""
    except (OSError, UnicodeDecodeError, _Unclear):
        return ""
    return hash_tree(targets[name], contents, text) if all(contents.values()) else ""


class _Unclear(Exception):
    """The input of a build cannot be determined."""


def _ignore(folder: Path, dockerfile: Path | None) -> Ignore:
    """Reads the ignore list. A Dockerfile's own list has priority over the folder's."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore") if dockerfile else folder
    for path in (own, folder / ".dockerignore"):
        if path.is_file():
            ignore = parse_ignore(path.read_text(encoding="utf-8"))
            if ignore is None:
                raise _Unclear
            return ignore
    return Ignore()


def hash_folder(folder: Path, ignore: Ignore) -> str:
    """Returns the hash of every name, mode and content under a folder, as the build receives them."""
    if not folder.is_dir():
        raise _Unclear
    entries = sorted(_walk(str(folder), ignore))
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = pool.map(lambda entry: _content(folder / entry[0], entry[1]), entries)
        return hash_value(
            [[path, mode, content] for (path, mode), content in zip(entries, contents, strict=True)]
        )


def hash_path(path: Path) -> str:
    """Returns the hash of a file or folder as it is; empty if it does not exist."""
    try:
        return hash_folder(path, Ignore()) if path.is_dir() else _content(path, path.lstat().st_mode)
    except OSError:
        return ""


def _walk(top: str, ignore: Ignore) -> Iterator[tuple[str, int]]:
    folders = [(top, "")]
    while folders:
        folder, prefix = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                hidden = ignore.hides(path) or (not prefix and entry.name == ".git")
                if not hidden:
                    yield path, entry.stat(follow_symlinks=False).st_mode
                if entry.is_dir(follow_symlinks=False) and (not hidden or ignore.has_exceptions):
                    folders.append((entry.path, f"{path}/"))


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return str(path.readlink())
    return _hash_file(path) if stat.S_ISREG(mode) else ""


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
