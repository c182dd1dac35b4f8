"""Child processes: the only module that starts them. In: argv lists, never a shell line, an environment,
limits. Out: exit code and output as bytes. The caller puts a failure into words.

A child gets the given environment and nothing else. Open descriptors can be passed to it, so that a lock
outlives a killed parent until its child has ended as well.
"""

from __future__ import annotations

import os
import resource
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

_BLOCK = 65_536
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_DRAIN = 0.5  # seconds for output that a child's leftover processes still print
_Made = TypeVar("_Made")


class NotStarted(Exception):
    """The child cannot be started; `reason` is the system's."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


class NotEnded(Exception):
    """The child did not end in time."""


class PrintedTooMuch(Exception):
    """The child printed more than its limit."""


@dataclass(frozen=True)
class Limits:
    """Limits of one child; None is no limit."""

    seconds: float
    output: int | None = None  # bytes of either stream
    memory: int | None = None  # bytes of its address space


@dataclass(frozen=True)
class Finished:
    """Result of a child that ended by itself."""

    code: int
    stdout: bytes
    stderr: bytes


class Restriction(Protocol):
    """Restricts a child: its user and groups, and the thread that starts it."""

    @property
    def user(self) -> int | None: ...

    @property
    def groups(self) -> Sequence[int] | None: ...

    def start(self, start: Callable[[], _Made]) -> _Made:
        """Returns the result of `start`, called in a thread with the restrictions that a child inherits."""


def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    limits: Limits,
    folder: str | Path | None = None,
    text: bytes | None = None,
    keep: Sequence[int] = (),
    own_group: bool = True,
    restriction: Restriction | None = None,
) -> Finished:
    """Runs a child to its end. `text`: its stdin; `keep`: descriptors that it keeps open; `own_group`: at its
    timeout, the processes that it started end with it.

    Raises NotStarted, NotEnded, PrintedTooMuch.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(keep),
            cwd=folder,
            start_new_session=own_group,
            user=restriction.user if restriction else None,
            group=restriction.user if restriction else None,
            extra_groups=restriction.groups if restriction else None,
        )

    try:
        child = restriction.start(start) if restriction else start()
    except OSError as error:
        raise NotStarted(error.strerror) from None
    _limit_memory(child, limits.memory)
    with child:
        stdout, stderr = _to_the_end(child, text or b"", limits, own_group)
    return Finished(child.returncode, bytes(stdout), bytes(stderr))


def _limit_memory(child: subprocess.Popen[bytes], most: int | None) -> None:
    """Limits the child's memory: a small file may expand to gigabytes in a program that reads it."""
    if most is not None:
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (most, most))


def _to_the_end(
    child: subprocess.Popen[bytes], text: bytes, limits: Limits, own_group: bool
) -> tuple[bytearray, bytearray]:
    deadline = time.monotonic() + limits.seconds
    try:
        printed = _exchange(child, text, limits.output, deadline)
        child.wait(max(0.0, deadline - time.monotonic()))
    except BaseException as error:
        if own_group:
            _signal_group(child, signal.SIGKILL)  # not reaped yet, so the id is still this group's
        else:
            child.kill()
        if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
            raise NotEnded from None
        raise
    return printed


def _exchange(
    child: subprocess.Popen[bytes], text: bytes, most: int | None, deadline: float
) -> tuple[bytearray, bytearray]:
    """Feeds stdin and reads both streams until no process writes to them any more."""
    assert child.stdout and child.stderr
    printed = (bytearray(), bytearray())
    with selectors.DefaultSelector() as pipes:
        if child.stdin:
            pipes.register(child.stdin, selectors.EVENT_WRITE)
        for pipe, output in zip((child.stdout, child.stderr), printed, strict=True):
            pipes.register(pipe, selectors.EVENT_READ, output)
        while pipes.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in pipes.select(left):
                if child.stdin and key.data is None:
                    if not (text := _feed(key.fd, text)):
                        pipes.unregister(child.stdin)
                        child.stdin.close()
                elif not _take(key.fd, key.data, most):
                    pipes.unregister(key.fileobj)
    return printed


def _feed(pipe: int, text: bytes) -> bytes:
    """Writes as much as fits without waiting; returns the rest, empty if the child reads no more."""
    try:
        return text[os.write(pipe, text[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return b""


def _take(pipe: int, output: bytearray, most: int | None) -> bool:
    """Reads one block into `output`; False at the stream's end. Raises PrintedTooMuch."""
    block = os.read(pipe, _BLOCK)
    output.extend(block)
    if most is not None and len(output) > most:
        raise PrintedTooMuch
    return bool(block)


def stream(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    write: Callable[[bytes], None],
    folder: Path | None = None,
) -> int:
    """Runs a child, passes its output on as it comes, both streams as one, and returns its exit code. Its
    leftover processes end with it. Raises NotStarted.
    """
    try:
        child = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NotStarted(error.strerror) from None
    try:
        _pass_on(child, write)
    finally:
        _end_group(child)
    return child.returncode


def _pass_on(child: subprocess.Popen[bytes], write: Callable[[bytes], None]) -> None:
    """Copies output until the child ends; leftover processes of the child may still print, but are not
    awaited.
    """
    assert child.stdout is not None
    until = float("inf")
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while time.monotonic() < until:
            if child.poll() is not None:
                until = min(until, time.monotonic() + _DRAIN)
            if selector.select(timeout=0.1):
                block = os.read(child.stdout.fileno(), _BLOCK)
                if not block:
                    child.wait()
                    break
                write(block)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
    _signal_group(child, signal.SIGKILL)
    child.wait()
    if child.stdout:
        child.stdout.close()


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def start_alone(argv: Sequence[str], *, environment: Mapping[str, str], keep: Sequence[int] = ()) -> None:
    """Starts a child that outlives this process; its output is discarded."""
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        argv,
        env=dict(environment),
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        pass_fds=tuple(keep),
        start_new_session=True,
    )
