"""The registry login. In: inputs. Out: `Login` or None, docker's private configuration, a header.

GitHub's own token goes to GitHub's registries only, for any value of `registry`; the user's docker
configuration is read and never written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, input_text, registry
from deployer.ci.images import docker_cli
from deployer.core.images import DEFAULT_HOST, split_host
from deployer.io.oci_client import basic

_HUB_KEY = "https://index.docker.io/v1/"
_OURS = "ghcr.io"


@dataclass(frozen=True)
class Login:
    """User name and password for one registry host."""

    host: str
    username: str
    password: str = field(repr=False)


def given_login(context: Context, images: Iterable[BuiltImage]) -> Login | None:
    """Returns the inputs' login if there is one and an image of this run is on its host."""
    return login_to(context, (image.repository for image in images))


def login_to(context: Context, repositories: Iterable[str]) -> Login | None:
    """Returns the inputs' login if there is one and one of the repositories is on its host."""
    login = Login(registry(), input_text("registry-username"), input_text("registry-password"))
    hosts = {split_host(repository)[0] for repository in repositories}
    if not login.username or not login.password or login.host not in hosts:
        return None
    workflow_commands.mask(login.password)
    if login.password == input_text("github-token") and not _is_githubs(login.host, context.site):
        return None
    return login


def _is_githubs(host: str, site: str) -> bool:
    return host == _OURS or host.endswith(f".{urlsplit(site).netloc}")


def log_in(login: Login | None) -> Mapping[str, str]:
    """Returns docker's environment with this login, in a configuration of its own that `report` removes."""
    if login is None:
        return {}
    endpoint = docker_cli.endpoint()
    folder = run_state.folder() / "docker"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = {key: value for key, value in _user_configuration().items() if key in ("auths", "credHelpers")}
    run_state.save_text("docker/config.json", json.dumps(kept))
    config = {"DOCKER_CONFIG": str(folder), "DOCKER_HOST": endpoint}
    docker_cli.login(login.host, login.username, login.password, config)
    return config


def log_out() -> None:
    """Removes the configuration, before any foreign program runs."""
    shutil.rmtree(run_state.folder() / "docker", ignore_errors=True)


def authorization(host: str, login: Login | None) -> str:
    """Returns the header for `host`: this login's, else the one in the user's docker configuration, else
    empty.
    """
    if login and login.host == host:
        return basic(login.username, login.password)
    key = _HUB_KEY if host == DEFAULT_HOST else host
    auths = _user_configuration().get("auths")
    entry = auths.get(key) if isinstance(auths, dict) else None
    auth = entry.get("auth") if isinstance(entry, dict) else None
    return f"Basic {auth}" if isinstance(auth, str) and auth else ""


def _user_configuration() -> dict[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG") or str(Path("~/.docker").expanduser())
    try:
        value = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
