"""The docker command as argv lists. In: values checked before. Out: parsed answers. Decides nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployer.ci import workflow
from deployer.ci.process import Ended, capture, stream
from deployer.core.errors import CommandFailed, ComposeRejected

# A context may lie beside the Compose file's folder; newer buildx asks for leave, and nobody can answer.
_BAKE = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}


def render(file: Path, variables: Path | None, *, form: str) -> str:
    """The Compose model with variables filled in, as `json` or `yaml`. Raises ComposeRejected."""
    env_file = ["--env-file", str(variables)] if variables else []
    try:
        return capture(["docker", "compose", *env_file, "-f", str(file), "config", "--format", form])
    except CommandFailed as error:
        raise ComposeRejected(
            str(error),
            hint="what only the server has needs a default: ${NAME:-}, env_file with required: false",
        ) from None


def bake(definition: Path, targets: Sequence[str], settings: Iterable[str], metadata: Path) -> Ended:
    """Builds all targets at once and loads them into the engine."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    argv = [
        "docker",
        "buildx",
        "bake",
        "-f",
        str(definition),
        "--load",
        "--progress",
        "plain",
        "--provenance=false",
    ]
    return stream([*argv, "--metadata-file", str(metadata), *overrides, "--", *targets], extra=_BAKE)


def inspect(reference: str) -> dict[str, Any]:
    """An image of the engine. Raises CommandFailed."""
    answer = json.loads(capture(["docker", "image", "inspect", "--", reference]))
    return dict(answer[0])


def tag(source: str, target: str) -> None:
    """Gives an image one more name."""
    capture(["docker", "tag", "--", source, target])


def push(reference: str, config: Mapping[str, str]) -> Ended:
    """Pushes one tag."""
    return stream(["docker", "push", "--", reference], extra=config)


def login(host: str, username: str, password: str, config: Mapping[str, str]) -> None:
    """Logs in; the password goes by stdin. Raises CommandFailed."""
    capture(
        ["docker", "login", f"--username={username}", "--password-stdin", "--", host],
        text=password,
        extra=config,
    )


def endpoint() -> str:
    """The engine that docker talks to, which a private DOCKER_CONFIG would otherwise forget."""
    named = os.environ.get("DOCKER_HOST")
    return (
        named or capture(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).strip()
    )


def up(project: str, file: Path, timeout: int) -> Ended:
    """Starts a stack and waits until it is healthy."""
    argv = [*_compose(project, file), "up", "-d", "--no-build", "--wait", "--wait-timeout", str(timeout)]
    return stream(argv)


def down(project: str, file: Path) -> None:
    """Removes a stack with its volumes and networks; what cannot be removed is a warning."""
    try:
        capture([*_compose(project, file), "down", "-v", "--remove-orphans", "-t", "0"])
    except CommandFailed as error:
        workflow.warning(str(error), title=f"deployer: {project} is not fully removed")


def containers(project: str, file: Path) -> list[dict[str, Any]]:
    """The stack's containers as `docker compose ps` knows them: one JSON list, or one object a line."""
    text = capture([*_compose(project, file), "ps", "-a", "--format", "json"]).strip()
    return (
        list(json.loads(text)) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    )


def logs(container: str, lines: int) -> Ended:
    """Prints the end of a container's log."""
    return stream(["docker", "logs", "--tail", str(lines), "--", container])


def _compose(project: str, file: Path) -> list[str]:
    return ["docker", "compose", "-p", project, "-f", str(file)]
