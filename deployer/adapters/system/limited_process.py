"""Child processes of the server, with limits. In: argv lists. Out: text, or CommandFailed with the last
lines.

Children get the given environment and nothing of the server's own, at most 3 GB of memory and 8 MB of output.
A child leads its own process group: at its timeout, the processes it started end with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployer.adapters.system.confined_process import Confined
from deployer.core.errors import CommandFailed
from deployer.io import subprocesses
from deployer.io.subprocesses import Limits, NotEnded, NotStarted, PrintedTooMuch

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
    try:
        child = subprocesses.run(
            argv,
            environment=environment or {},
            limits=Limits(timeout, output=_MOST, memory=_MOST_MEMORY),
            folder=folder,
            keep=keep,
            restriction=confined,
        )
    except NotStarted as error:
        raise CommandFailed(f"{name} cannot be started: {error.reason}", hint=_HINT) from None
    except NotEnded:
        raise CommandFailed(f"{name} did not end within {timeout:.0f} s") from None
    except PrintedTooMuch:
        raise CommandFailed(f"{name} printed more than {_MOST // 1_000_000} MB") from None
    stdout, stderr = (text.decode(errors="replace") for text in (child.stdout, child.stderr))
    if child.code:
        said = hide(stderr).strip()
        raise ExitedWithError(f"{name} ended with code {child.code}: {said[-_TAIL:]}", said)
    return Result(stdout, stderr)
