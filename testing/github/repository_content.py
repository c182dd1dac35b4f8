"""Repositories of the stand-in for GitHub. In: a dict or a real git repository. Out: files at a revision."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]*")


@dataclass(frozen=True)
class File:
    """One entry of a tree."""

    mode: str
    sha: str
    size: int


class Content(Protocol):
    """One repository's files."""

    def files(self, revision: str) -> dict[str, File] | None:
        """Returns the files, or None for an unknown revision."""

    def read(self, revision: str, path: str) -> bytes: ...

    def tip(self, branch: str) -> str:
        """Returns the newest commit, empty for an unknown branch."""

    def branches(self) -> list[str]: ...

    def tags(self) -> dict[str, str]:
        """Returns name → commit."""

    def contains(self, tip: str, revision: str) -> bool:
        """True if `revision` is `tip` or an ancestor of it."""


class FromDict:
    """Content given as `{revision: {path: text or bytes}}`."""

    def __init__(self, revisions: Mapping[str, Mapping[str, str | bytes]]) -> None:
        self._revisions = revisions

    def files(self, revision: str) -> dict[str, File] | None:
        if revision not in self._revisions:
            return None
        return {path: _file(self.read(revision, path)) for path in self._revisions[revision]}

    def read(self, revision: str, path: str) -> bytes:
        content = self._revisions[revision][path]
        return content if isinstance(content, bytes) else content.encode()

    def tip(self, branch: str) -> str:
        """Returns the last revision of `main`, the only branch."""
        return list(self._revisions)[-1] if branch == "main" and self._revisions else ""

    def branches(self) -> list[str]:
        return ["main"]

    def tags(self) -> dict[str, str]:
        return {}

    def contains(self, tip: str, revision: str) -> bool:
        known = list(self._revisions)
        return known.index(revision) <= known.index(tip)


class FromGit:
    """Content of a git repository on disk, bare or with a work tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self, revision: str) -> dict[str, File] | None:
        if not _REVISION.fullmatch(revision):
            return None
        listing = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", revision)
        if listing is None:
            return None
        found: dict[str, File] = {}
        for line in listing.decode().split("\0")[:-1]:
            entry, _, path = line.partition("\t")
            mode, _, sha, size = entry.split()
            found[path] = File(mode, sha, int(size) if size.isdigit() else 0)
        return found

    def read(self, revision: str, path: str) -> bytes:
        return self._git("show", f"{revision}:{path}") or b""

    def tip(self, branch: str) -> str:
        return (self._git("rev-parse", "--verify", f"refs/heads/{branch}") or b"").decode().strip()

    def branches(self) -> list[str]:
        listed = self._git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads") or b""
        return listed.decode().split()

    def tags(self) -> dict[str, str]:
        named = "%(refname:lstrip=2) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
        listed = (self._git("for-each-ref", f"--format={named}", "refs/tags") or b"").decode().splitlines()
        return {name: commit for name, _, commit in (line.partition(" ") for line in listed)}

    def contains(self, tip: str, revision: str) -> bool:
        return self._git("merge-base", "--is-ancestor", revision, tip) is not None

    def _git(self, *arguments: str) -> bytes | None:
        command = ["git", "-c", "safe.directory=*", "-C", str(self._folder), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
        return done.stdout if done.returncode == 0 else None


def _file(raw: bytes) -> File:
    return File("100644", hashlib.sha1(b"blob %d\0%s" % (len(raw), raw)).hexdigest(), len(raw))
