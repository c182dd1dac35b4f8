"""Confinement of a child process. In: the available means, the files that the child may read and run. Out: a
child without any other access, or CommandFailed.

The restrictions of Landlock and seccomp belong to a thread and to the programs it starts. So a dedicated
thread applies them and starts the child: this costs half a millisecond, no interpreter stands between the
server and the child, and no Python runs between fork and exec.
"""

from __future__ import annotations

import gc
import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from deployer.adapters.system import landlock, seccomp
from deployer.core.docker.compose_confinement import (
    Confinement,
    Means,
    choose_confinement,
    group_of_all,
    user_of,
)
from deployer.core.errors import CommandFailed

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_READ_BELOW = landlock.READ_FILE | landlock.READ_DIR
_RUN = landlock.READ_FILE | landlock.EXECUTE
_INTERPRETER, _ELF_64 = 3, b"\x7fELF\x02\x01"  # program header; magic, 64 bits, little-endian
_alone = threading.Lock()
_Made = TypeVar("_Made")


@cache
def find_confinement() -> Confinement:
    """Returns the means that this kernel and this user have."""
    abi, why = landlock.version()
    return choose_confinement(abi, why, root=os.geteuid() == 0, sockets=seccomp.is_available())


@dataclass(frozen=True)
class Confined:
    """Access of one child: its program, and files and folders to read. `project` determines its user."""

    confinement: Confinement
    project: str
    program: str
    readable: Sequence[str]

    @property
    def user(self) -> int | None:
        return user_of(self.project) if self.confinement.means is Means.OWN_USER else None

    @property
    def groups(self) -> list[int] | None:
        return [group_of_all()] if self.confinement.means is Means.OWN_USER else None

    def start(self, start: Callable[[], _Made]) -> _Made:
        """Returns the result of `start`, called in a thread with no further access. Raises its errors, and
        CommandFailed if the kernel refuses the restrictions.
        """
        ended: list[_Made | BaseException] = []
        thread = threading.Thread(target=self._start, args=(start, ended), name="confined")
        thread.start()
        thread.join()
        if isinstance(made := ended[0], BaseException):
            raise made
        return made

    def _start(self, start: Callable[[], _Made], ended: list[_Made | BaseException]) -> None:
        # Garbage collection in this thread would close other threads' files without the rights to do so.
        with _alone:
            collects = gc.isenabled()
            gc.disable()
            try:
                self._restrict()
                ended.append(start())
            except BaseException as error:
                ended.append(error)
            finally:
                if collects:
                    gc.enable()

    def _restrict(self) -> None:
        try:
            if self.confinement.means is Means.LANDLOCK:
                landlock.restrict_thread(self._rules(), self.confinement.abi)
            if self.confinement.sockets:
                seccomp.refuse_sockets()
        except OSError as error:
            raise CommandFailed(
                f"{self.program} cannot be confined: {error.strerror}",
                hint="`deployer config check` shows which confinement is in force",
            ) from None

    def _rules(self) -> Iterator[tuple[str, int]]:
        yield "/dev/null", landlock.READ_FILE | landlock.WRITE_FILE
        yield from (
            (path, _READ_BELOW if Path(path).is_dir() else landlock.READ_FILE) for path in self.readable
        )
        yield self.program, _RUN
        if interpreter := _interpreter_of(self.program):
            yield interpreter, _RUN
            yield str(Path(interpreter).resolve().parent), landlock.READ_FILE
            yield from ((path, landlock.READ_FILE) for path in _LIBRARIES)


def _interpreter_of(program: str) -> str:
    """Returns the loader of a dynamically linked program, empty for a static one. Source: elf(5)."""
    with Path(program).open("rb") as file:
        head = file.read(64)
        if not head.startswith(_ELF_64) or len(head) < 64:
            return ""
        (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(offset + number * size)
            kind, _, place, _, _, length = struct.unpack_from("<IIQQQQ", file.read(40))
            if kind == _INTERPRETER:
                file.seek(place)
                return file.read(length).rstrip(b"\0").decode()
    return ""
