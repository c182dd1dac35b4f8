"""The only door to child processes. In: argv lists, never a shell line. Out: text, or CommandFailed with the
last lines.

Children get the environment they are given and nothing of the server's own. A lock's file descriptors can
travel with a child, so that a lock outlives a killed parent until its child is done as well.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.errors import CommandFailed

_KEPT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "TMPDIR")
_TAIL = 2_000


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
) -> Result:
    """Runs `argv` to its end, at most `timeout` seconds; `keep` are descriptors the child keeps open."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(extra or {})
    try:
        done = subprocess.run(
            list(argv),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            pass_fds=tuple(keep),
            check=False,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{_name(argv)} did not end within {timeout:.0f} s") from None
    except OSError as error:
        raise CommandFailed(
            f"{argv[0]} cannot be started: {error.strerror}", hint=f"is {argv[0]} installed?"
        ) from None
    result = Result(done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if done.returncode:
        raise CommandFailed(
            f"{_name(argv)} ended with code {done.returncode}: {result.stderr.strip()[-_TAIL:]}"
        )
    return result


def _name(argv: Sequence[str]) -> str:
    return " ".join(word for word in argv[:2])
