"""The only door to child processes. In: argv lists, never a shell line. Out: text, or CommandFailed with the
last lines.

Children get the environment they are given and nothing of the server's own. A lock's file descriptors can
travel with a child, so that a lock outlives a killed parent until its child is done as well. A child leads a
process group of its own: when its time is over, what it started ends with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deployer.core.errors import CommandFailed

_KEPT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "TMPDIR")
_TAIL = 2_000
_MOST = 8_000_000  # bytes of either stream; more is a mistake and would fill the memory


class ExitedWithError(CommandFailed):
    """The child itself gave up; `stderr` is what it said."""

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr


@dataclass(frozen=True)
class Result:
    """What a child printed."""

    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    extra: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
    folder: str | None = None,
    hide: Callable[[str], str] = str,
) -> Result:
    """Runs `argv` to its end, at most `timeout` seconds; `keep` are descriptors the child keeps open, `hide`
    takes secrets out of what it says when it fails.
    """
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(extra or {})
    try:
        child = subprocess.Popen(
            list(argv),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(keep),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(
            f"{argv[0]} cannot be started: {error.strerror}", hint=f"is {argv[0]} installed?"
        ) from None
    with child:
        stdout, stderr = _to_the_end(child, _name(argv), timeout)
    if child.returncode:
        said = hide(stderr).strip()
        raise ExitedWithError(f"{_name(argv)} ended with code {child.returncode}: {said[-_TAIL:]}", said)
    return Result(stdout, stderr)


def _to_the_end(child: subprocess.Popen[bytes], name: str, timeout: float) -> tuple[str, str]:
    deadline = time.monotonic() + timeout
    try:
        printed = _read(child, name, deadline)
        child.wait(max(0.0, deadline - time.monotonic()))
    except BaseException as error:
        with suppress(ProcessLookupError):  # not waited for yet, so the number is still this group's
            os.killpg(child.pid, signal.SIGKILL)
        if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
            raise CommandFailed(f"{name} did not end within {timeout:.0f} s") from None
        raise
    stdout, stderr = (text.decode(errors="replace") for text in printed)
    return stdout, stderr


def _read(child: subprocess.Popen[bytes], name: str, deadline: float) -> tuple[bytearray, bytearray]:
    """Both streams until nobody writes to them any more."""
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


def _name(argv: Sequence[str]) -> str:
    return " ".join(word for word in argv[:2])
