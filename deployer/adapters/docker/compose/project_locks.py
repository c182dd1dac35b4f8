"""Locks of projects on one machine. In: a project. Out: the lock held, and its descriptor for a child process
that changes the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployer.adapters.system.file_lock import hold


class ProjectLocks:
    """Holds one lock for each project; a child of a killed deployer that inherited it holds it on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    @contextmanager
    def exclusive(self, project: str, wait: float) -> Iterator[None]:
        """Holds the project's lock, and lets every child that changes the project hold it too."""
        with hold(self._folder / f"{project}.lock", wait=wait) as descriptor:
            self._held[project] = descriptor
            try:
                yield
            finally:
                del self._held[project]

    def descriptors(self, project: str) -> tuple[int, ...]:
        """Returns the descriptor that a child inherits; empty while the lock is not held."""
        return (self._held[project],) if project in self._held else ()
