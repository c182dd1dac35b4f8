"""Child processes. In: argv lists, never a shell line. Out: their output as text to the runner, exit codes.

A child gets neither the action's inputs nor the tokens and files by which a step controls its workflow.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import PREFIX
from deployer.core.errors import CommandFailed

_STEERING = frozenset({"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"})
_TAIL = 4000
_GRACE = 5.0
_DRAIN = 0.5


@dataclass(frozen=True)
class Ended:
    """Result of a child: exit code, and the end of its output."""

    code: int
    tail: str

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.tail.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns this step's environment without the variables that only the action may use."""
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return {**kept, **(extra or {})}


def _is_ours(name: str) -> bool:
    return name in _STEERING or name.startswith(("ACTIONS_", PREFIX, "INPUT_"))


def stream(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    watch: Callable[[bytes], None] = lambda _: None,
) -> Ended:
    """Runs a child and prints its output as text; its leftover processes end with it."""
    with workflow_commands.commands_stopped():
        child = _start(argv, cwd=cwd, extra=extra, stderr=subprocess.STDOUT, session=True)
        try:
            tail = _pass_on(child, watch)
        finally:
            _end_group(child)
    return Ended(child.returncode, tail.decode("utf-8", "replace"))


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    text: str | None = None,
    timeout: float = 120,
) -> str:
    """Runs a child that answers quickly and returns its stdout. Raises CommandFailed with the end of its
    stderr.
    """
    child = _start(argv, cwd=cwd, extra=extra, stderr=subprocess.PIPE, session=False)
    try:
        out, err = child.communicate(text.encode() if text is not None else None, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{_name(argv)} did not end in {timeout:.0f} s") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode:
        words = err.decode("utf-8", "replace").strip()[-_TAIL:]
        raise CommandFailed(f"{_name(argv)} ended with exit code {child.returncode}: {words}")
    return out.decode("utf-8", "replace")


def start_alone(argv: Sequence[str], held: int) -> None:
    """Starts a child that outlives this step; its output is discarded, and it keeps one descriptor."""
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        argv,
        env=child_environment(),
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        pass_fds=(held,),
        start_new_session=True,
    )


def _start(
    argv: Sequence[str], *, cwd: Path | None, extra: Mapping[str, str] | None, stderr: int, session: bool
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=child_environment(extra),
            stdin=subprocess.DEVNULL if session else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=session,
        )
    except OSError as error:
        raise CommandFailed(
            f"{argv[0]} cannot be started: {error.strerror}", hint="is it on the PATH?"
        ) from None


def _pass_on(child: subprocess.Popen[bytes], watch: Callable[[bytes], None]) -> bytes:
    """Copies output until the child ends; leftover processes of the child may still print, but are not
    awaited.
    """
    assert child.stdout is not None
    tail, until = b"", float("inf")
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while time.monotonic() < until:
            if child.poll() is not None:
                until = min(until, time.monotonic() + _DRAIN)
            if selector.select(timeout=0.1):
                chunk = os.read(child.stdout.fileno(), 65_536)
                if not chunk:
                    child.wait()
                    break
                tail = (tail + chunk)[-_TAIL:]
                _write(chunk)
                watch(chunk)
    if tail and not tail.endswith(b"\n"):
        _write(b"\n")
    return tail


def _write(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


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


def _name(argv: Sequence[str]) -> str:
    return " ".join(argv[:2])
