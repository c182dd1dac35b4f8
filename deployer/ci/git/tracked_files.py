"""Tracked files of the checkout. In: a workspace. Out: its paths, a file's text, a commit's date. Never
follows a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from deployer.ci.git.git import git
from deployer.core.errors import CommandFailed
from deployer.core.requests.deploy_request import MAX_FILE_BYTES


def listed_files(workspace: Path) -> frozenset[str]:
    """Returns the regular files that git tracks; without a repository, those in the folder. Raises
    CommandFailed.
    """
    if not (workspace / ".git").exists():
        return frozenset(_walk(workspace))
    listing = git(workspace, "ls-files", "-z", "--stage")
    entries = (entry.partition("\t") for entry in listing.split("\0") if entry)
    return frozenset(path for mode, _, path in entries if mode.startswith("100"))


def _walk(workspace: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(workspace):
        folders[:] = [name for name in folders if name != ".git"]
        paths = (Path(folder) / name for name in files)
        yield from (path.relative_to(workspace).as_posix() for path in paths if not path.is_symlink())


def read_text(workspace: Path, path: str) -> str | None:
    """Returns a file's text; None unless it is a regular file of UTF-8 text that a deploy request
    can carry.
    """
    file = workspace / path
    if (
        file.resolve() != workspace.resolve() / path
        or not file.is_file()
        or file.stat().st_size > MAX_FILE_BYTES
    ):
        return None
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def commit_date(workspace: Path, revision: str) -> str:
    """Returns the commit date of the revision, RFC 3339; empty if git does not know the revision."""
    try:
        return git(workspace, "show", "-s", "--format=%cI", revision, "--").strip()
    except CommandFailed:
        return ""
