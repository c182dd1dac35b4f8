"""git in a workspace. In: arguments. Out: git's stdout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deployer.ci.child_processes import capture


def git(workspace: Path, *words: str, extra: Mapping[str, str] | None = None, timeout: float = 60.0) -> str:
    """Runs git without password prompts and without programs that the work tree names. Raises
    CommandFailed.
    """
    # A container job's workspace belongs to another user, which git would refuse.
    safe = ("-c", f"safe.directory={os.path.realpath(workspace)}", "-c", "core.fsmonitor=false")
    argv = ["git", *safe, "-c", "credential.helper=", "-C", str(workspace), *words]
    return capture(argv, extra={"GIT_TERMINAL_PROMPT": "0", **(extra or {})}, timeout=timeout)
