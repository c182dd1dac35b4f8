"""The run and its inputs. In: the step's environment, the event file. Out: `Context`, checked input values.

Inputs come as `DEPLOYER_INPUT_<NAME>`; each step gets those that its verb needs. The runner does not enforce
`required`, so every value is checked here; a wrong value raises ConfigError.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployer.core.errors import ConfigError, DeployerError, TokenRejected
from deployer.core.images import COMPOSE_FILES, REVISION
from deployer.core.model import DEPLOY_DEADLINE, Run
from deployer.core.names import NAME, is_bundle_path
from deployer.io.http_connections import is_loopback

PREFIX = "DEPLOYER_INPUT_"
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_REGISTRY = re.compile(r"(?=.*[.:]|localhost)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
_BRANCH = re.compile(r"[^\s~^:?*\[\\\x00-\x1f]+")


class InputsRejected(DeployerError):
    """Inputs or the workflow's environment are wrong; the message lists every problem."""

    code = "inputs-rejected"


@dataclass(frozen=True)
class Context:
    """The workflow run, as GitHub describes it to a step."""

    event: str
    ref: str
    revision: str
    repository: str
    site: str  # https://github.com, or the enterprise server's
    actor: str
    run_id: str
    run: Run
    workspace: Path


def read_context() -> Context:
    """Returns the run. Raises ConfigError naming every variable that is missing or malformed."""
    names = ("EVENT_NAME", "REF", "SHA", "REPOSITORY", "RUN_ID", "RUN_NUMBER", "RUN_ATTEMPT", "WORKSPACE")
    env = {name: os.environ.get(f"GITHUB_{name}", "") for name in (*names, "SERVER_URL", "ACTOR")}
    wrong = [f"GITHUB_{name}" for name in names if not env[name] or not _is_well_formed(name, env[name])]
    if wrong:
        raise ConfigError(", ".join(wrong), "missing or malformed; this runs inside a GitHub workflow")
    return Context(
        event=env["EVENT_NAME"],
        ref=env["REF"],
        revision=env["SHA"],
        repository=env["REPOSITORY"],
        site=env["SERVER_URL"].rstrip("/") or "https://github.com",
        actor=env["ACTOR"],
        run_id=env["RUN_ID"],
        run=Run(int(env["RUN_NUMBER"]), int(env["RUN_ATTEMPT"])),
        workspace=Path(env["WORKSPACE"]),
    )


def _is_well_formed(name: str, value: str) -> bool:
    rules = {"SHA": REVISION, "REPOSITORY": _REPOSITORY}
    if name.startswith("RUN_"):
        return _is_number(value)
    return name not in rules or rules[name].fullmatch(value) is not None


def _is_number(value: str) -> bool:
    """True for digits that int() accepts: it refuses to read thousands of them."""
    return value.isascii() and value.isdigit() and len(value) < 19


def read_payload() -> Mapping[str, Any]:
    """Returns the event file's content. Raises ConfigError."""
    path = os.environ.get("GITHUB_EVENT_PATH", "")
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            "GITHUB_EVENT_PATH", f"{path!r} is not a readable event ({type(error).__name__})"
        ) from None
    if not isinstance(payload, dict):
        raise ConfigError("GITHUB_EVENT_PATH", "should hold a JSON object")
    return payload


def problems(*checks: Callable[[], object]) -> list[str]:
    """Returns the problems that all checks find, so that one run reports all of them."""
    found = []
    for check in checks:
        try:
            check()
        except (ConfigError, TokenRejected) as error:
            found.append(error.diagnostics().replace(f" [{error.code}]", ""))
    return found


def input_text(name: str) -> str:
    """Returns an input as given, without surrounding white space."""
    return os.environ.get(PREFIX + name.upper().replace("-", "_"), "").strip()


def flag(name: str) -> bool:
    """Returns an input that is true or false; empty is false. Raises ConfigError."""
    value = input_text(name).lower()
    if value not in ("", "true", "false"):
        raise ConfigError(name, f"{value!r} should be true or false")
    return value == "true"


def branch(name: str) -> str:
    """Returns a branch name; refs are compared with it exactly, so `refs/heads/main` would never match.
    Raises ConfigError.
    """
    value = input_text(name)
    if not _BRANCH.fullmatch(value) or value.startswith("refs/"):
        raise ConfigError(name, f"{value!r} should be a branch name such as main")
    return value


def environment() -> str:
    """Returns the server's environment to deploy to. Raises ConfigError."""
    value = input_text("environment")
    if not NAME.fullmatch(value):
        raise ConfigError(
            "environment", f"{value!r} should be lower-case letters, digits and hyphens, at most 63"
        )
    return value


def app() -> str:
    """Returns the name of the server's app; empty if the repository has only one. Raises ConfigError."""
    value = input_text("app")
    if value and not NAME.fullmatch(value):
        raise ConfigError("app", f"{value!r} should be lower-case letters, digits and hyphens, at most 63")
    return value


def registry() -> str:
    """Returns HOST or HOST:PORT of the registry for built images. Raises ConfigError."""
    value = input_text("registry")
    if not _REGISTRY.fullmatch(value):
        raise ConfigError("registry", f"{value!r} should be a host such as ghcr.io")
    return value


def server() -> str:
    """Returns the receiver's origin. Tokens travel there, so it must be HTTPS, except on the machine itself.
    Raises ConfigError.
    """
    value = input_text("server").rstrip("/")
    if not value:
        raise ConfigError("server", "is needed to deploy", hint="give the receiver's URL, https://HOST")
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or value != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ConfigError("server", f"{value!r} should be an origin, https://HOST without a path")
    if "@" in parts.netloc or (parts.scheme == "http" and not is_loopback(parts.netloc)):
        raise ConfigError("server", f"{value!r} should be https://HOST; plain http is for loopback addresses")
    return value


def timeout() -> int:
    """Returns the seconds to wait for the deployment's result."""
    return whole_seconds("timeout", input_text("timeout") or str(DEPLOY_DEADLINE), 86_400)


def whole_seconds(name: str, value: str, most: int) -> int:
    """Returns an input's whole number of seconds, at least 1. Raises ConfigError."""
    if not (_is_number(value) and 0 < int(value) <= most):
        raise ConfigError(name, f"{value!r} should be a whole number of seconds from 1 to {most}")
    return int(value)


def compose_file(workspace: Path) -> str:
    """Returns the Compose file's path in the repository: the input, else the first default name of Compose.
    Raises ConfigError.
    """
    named = input_text("compose-file")
    if named:
        path = os.path.normpath(named)
        if not is_bundle_path(path) or not (workspace / path).is_file():
            raise ConfigError("compose-file", f"{named!r} is not a file of the repository", hint=_CHECKOUT)
        return path
    for path in COMPOSE_FILES:
        if (workspace / path).is_file():
            return path
    raise ConfigError(
        "compose-file", f"none of {', '.join(COMPOSE_FILES)} is in the workspace", hint=_CHECKOUT
    )


_CHECKOUT = "does actions/checkout run before this step?"
