"""Names of apps, environments, services and files of a bundle. In: a name. Out: its validity."""

from __future__ import annotations

import posixpath
import re

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SERVICE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
MAX_SERVICES = 100  # built by one release
STEERING = ("COMPOSE_", "DOCKER_", "BUILDKIT_", "BUILDX_")  # variables for Docker's tools, not for containers
_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\0\n\r\\]{1,255}")


def is_bundle_path(path: str) -> bool:
    """True if `path` names one file inside the folder it is written to, and in one spelling only."""
    return _PATH.fullmatch(path) is not None and posixpath.normpath(path) == path != "."
