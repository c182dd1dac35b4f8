"""Checks of the folders that hold state. In: paths of the settings. Out: nothing, or ConfigError. Creates
none.
"""

from __future__ import annotations

import stat
from pathlib import Path

from deployer.core.docker.compose_confinement import group_of_all
from deployer.core.errors import ConfigError

_LONGEST_SOCKET = 107  # bytes a Unix socket's path may have
_LONGEST_PROJECT = 63


def check_state_folder(state: Path) -> None:
    """Checks the state folder. Only the folder's mode protects its content: models with variables, files that
    containers mount.
    """
    if len(f"{state}/edge/{'x' * _LONGEST_PROJECT}/master.sock") > _LONGEST_SOCKET:
        raise ConfigError(
            "server.state", f"{state} is too long a path for a socket", hint="/var/lib/deployer fits"
        )
    check_folder("server.state", state, 0o077, passing=group_of_all())


def check_folder(setting: str, folder: Path, never: int, passing: int = -1) -> None:
    """Checks that a folder is closed to others. `passing`: a group with permission to pass through."""
    try:
        found = folder.stat()
    except FileNotFoundError:  # created at the first start
        return
    except OSError as error:
        raise ConfigError(setting, f"{folder} cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(setting, f"{folder} is not a folder")
    if found.st_mode & never & ~(stat.S_IXGRP if found.st_gid == passing else 0):
        right = "700" if never == 0o077 else "2770"
        raise ConfigError(setting, f"{folder} is open to others", hint=f"chmod {right} {folder}")
