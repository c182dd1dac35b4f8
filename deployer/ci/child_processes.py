"""Child processes of a step. In: argv lists, never a shell line. Out: their output as text to the runner,
exit codes.

A child gets neither the action's inputs nor the tokens and files by which a step controls its workflow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import PREFIX
from deployer.core.errors import CommandFailed
from deployer.io import subprocesses
from deployer.io.subprocesses import Limits, NotEnded, NotStarted

_STEERING = frozenset({"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"})
_TAIL = 4000


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
    tail = b""

    def write(block: bytes) -> None:
        nonlocal tail
        tail = (tail + block)[-_TAIL:]
        _print(block)
        watch(block)

    with workflow_commands.commands_stopped():
        try:
            code = subprocesses.stream(argv, environment=child_environment(extra), write=write, folder=cwd)
        except NotStarted as error:
            raise _not_started(argv, error) from None
        if tail and not tail.endswith(b"\n"):
            _print(b"\n")
    return Ended(code, tail.decode("utf-8", "replace"))


def _print(block: bytes) -> None:
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


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
    name = " ".join(argv[:2])
    try:
        child = subprocesses.run(
            argv,
            environment=child_environment(extra),
            limits=Limits(timeout),
            folder=cwd,
            text=text.encode() if text is not None else None,
            own_group=False,
        )
    except NotStarted as error:
        raise _not_started(argv, error) from None
    except NotEnded:
        raise CommandFailed(f"{name} did not end in {timeout:.0f} s") from None
    if child.code:
        words = child.stderr.decode("utf-8", "replace").strip()[-_TAIL:]
        raise CommandFailed(f"{name} ended with exit code {child.code}: {words}")
    return child.stdout.decode("utf-8", "replace")


def start_alone(argv: Sequence[str], held: int, *, extra: Mapping[str, str] | None = None) -> None:
    """Starts a child that outlives this step; its output is discarded, and it keeps one descriptor."""
    subprocesses.start_alone(argv, environment=child_environment(extra), keep=(held,))


def _not_started(argv: Sequence[str], error: NotStarted) -> CommandFailed:
    return CommandFailed(f"{argv[0]} cannot be started: {error.reason}", hint="is it on the PATH?")
