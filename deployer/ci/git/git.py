"""git in a workspace. In: words. Out: what it printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deployer.ci.subprocesses import capture


def git(workspace: Path, *words: str, extra: Mapping[str, str] | None = None, timeout: float = 60.0) -> str:
    """Raises CommandFailed. Asks nobody for a password, and runs no program that the work tree names."""
    # A container job's workspace belongs to another user, which git would refuse.
    safe = ("-c", f"safe.directory={os.path.realpath(workspace)}", "-c", "core.fsmonitor=false")
    argv = ["git", *safe, "-c", "credential.helper=", "-C", str(workspace), *words]
    return capture(argv, extra={"GIT_TERMINAL_PROMPT": "0", **(extra or {})}, timeout=timeout)
