"""Child processes: the only module that starts them. In: argv lists, never a shell line. Out: text, or
CommandFailed with the last lines.

Children get the given environment and nothing of the server's own. A lock's file descriptors can be passed to
a child, so that a lock outlives a killed parent until its child has ended as well. A child leads its own
process group: at its timeout, the processes it started end with it.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deployer.adapters.system.confined_process import Confined
from deployer.core.errors import CommandFailed

_TAIL = 2_000
_MOST_MEMORY = (
    3 * 2**30
)  # bytes of a child's address space; `docker compose` reserves 1.3 GB without using it
_HINT = "is it installed, and may the deployer run it?"
_MOST = 8_000_000  # bytes of either stream; more is a mistake and would fill the memory


class ExitedWithError(CommandFailed):
    """The child exited with an error; `stderr` is its output."""

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr


@dataclass(frozen=True)
class Result:
    """A child's output."""

    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    name: str = "",
    keep: Sequence[int] = (),
    folder: str | None = None,
    hide: Callable[[str], str] = str,
    confined: Confined | None = None,
) -> Result:
    """Runs `argv` to its end, at most `timeout` seconds. `name`: the command's name for messages; `keep`:
    descriptors that the child keeps open; `hide` removes secrets from a failing child's output.
    """
    name = name or " ".join(argv[:2])

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            env=dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(keep),
            cwd=folder,
            start_new_session=True,
            user=confined.user if confined else None,
            group=confined.user if confined else None,
            extra_groups=confined.groups if confined else None,
        )

    try:
        child = confined.start(start) if confined else start()
    except OSError as error:
        raise CommandFailed(f"{name} cannot be started: {error.strerror}", hint=_HINT) from None
    _limit_memory(child)
    with child:
        stdout, stderr = _to_the_end(child, name, timeout)
    if child.returncode:
        said = hide(stderr).strip()
        raise ExitedWithError(f"{name} ended with code {child.returncode}: {said[-_TAIL:]}", said)
    return Result(stdout, stderr)


def _limit_memory(child: subprocess.Popen[bytes]) -> None:
    """Limits the child's memory: a small file may expand to gigabytes in a program that reads it."""
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(child.pid, resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def _to_the_end(child: subprocess.Popen[bytes], name: str, timeout: float) -> tuple[str, str]:
    deadline = time.monotonic() + timeout
    try:
        printed = _read(child, name, deadline)
        child.wait(max(0.0, deadline - time.monotonic()))
    except BaseException as error:
        with suppress(ProcessLookupError):  # not reaped yet, so the id is still this group's
            os.killpg(child.pid, signal.SIGKILL)
        if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
            raise CommandFailed(f"{name} did not end within {timeout:.0f} s") from None
        raise
    stdout, stderr = (text.decode(errors="replace") for text in printed)
    return stdout, stderr


def _read(child: subprocess.Popen[bytes], name: str, deadline: float) -> tuple[bytearray, bytearray]:
    """Reads both streams until no process writes to them any more."""
    assert child.stdout and child.stderr
    printed = (bytearray(), bytearray())
    with selectors.DefaultSelector() as open_pipes:
        for pipe, text in zip((child.stdout, child.stderr), printed, strict=True):
            open_pipes.register(pipe, selectors.EVENT_READ, text)
        while open_pipes.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in open_pipes.select(left):
                chunk = os.read(key.fd, 65_536)
                key.data.extend(chunk)
                if not chunk:
                    open_pipes.unregister(key.fileobj)
                if len(key.data) > _MOST:
                    raise CommandFailed(f"{name} printed more than {_MOST // 1_000_000} MB")
    return printed
