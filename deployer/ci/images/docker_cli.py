"""The docker command as argv lists. In: checked values. Out: parsed answers. Never decides."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployer.ci.child_processes import Ended, capture, start_alone, stream
from deployer.ci.github import workflow_commands
from deployer.core.errors import CommandFailed, ComposeRejected

# A context may lie beside the Compose file's folder; newer buildx then asks for permission at a prompt.
_BAKE = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
_TRANSFER = 1800.0
_MISSING = re.compile(r"required variable (?P<name>[A-Za-z_][A-Za-z0-9_]*) ")
# Services that only test the others: Compose ignores them unless this profile is active.
TEST_PROFILE = "test"
# The stack's file has all that is to run. The job's variables are meant for the user's file: a profile would
# start the tests with the stack, and the removal would not know the others.
_OWN = {"COMPOSE_PROFILES": "", "COMPOSE_IGNORE_ORPHANS": "", "COMPOSE_REMOVE_ORPHANS": ""}


def render(files: Sequence[Path], variables: Path | None, *, form: str) -> str:
    """Returns the Compose model with variables filled in, as `json` or `yaml`, tests included. Raises
    ComposeRejected.
    """
    env_file = ["--env-file", str(variables)] if variables else []
    named = [part for file in files for part in ("-f", str(file))]
    profiles = [name for name in os.environ.get("COMPOSE_PROFILES", "").split(",") if name]
    active = [part for name in (*profiles, TEST_PROFILE) for part in ("--profile", name)]
    try:
        return capture(["docker", "compose", *env_file, *named, *active, "config", "--format", form])
    except CommandFailed as error:
        raise ComposeRejected(str(error), hint=_hint(str(error))) from None


def _hint(words: str) -> str:
    """Returns the next step of an error. A variable or a file that only the server has is the common cause,
    and the one with a remedy here.
    """
    if missing := _MISSING.search(words):
        name = missing["name"]
        return f"give the test a value, `env: {{{name}: …}}` of the step, or give it a default: ${{{name}:-}}"
    if "env file" in words:
        return "for a file that only the server has: env_file with required: false"
    return "`docker compose config` on your machine shows the same error"


def describe(definition: Path, targets: Sequence[str], settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns target → bake's build description, also for the targets that these need. Raises
    ComposeRejected.
    """
    try:
        answer = capture([*_bake(definition, settings), "--print", "--", *targets], extra=_BAKE)
    except CommandFailed as error:
        raise ComposeRejected(str(error)) from None
    return dict(json.loads(answer)["target"])


def bake(
    definition: Path,
    targets: Sequence[str],
    settings: Iterable[str],
    metadata: Path,
    *,
    anew: bool,
    watch: Callable[[bytes], None],
) -> Ended:
    """Builds all targets at once and loads them into the engine; `anew`: without cache, with fresh base
    images.
    """
    options = ["--load", "--progress", "plain", "--provenance=false", "--metadata-file", str(metadata)]
    options += ["--no-cache", "--pull"] if anew else []
    return stream([*_bake(definition, settings), *options, "--", *targets], extra=_BAKE, watch=watch)


def _bake(definition: Path, settings: Iterable[str]) -> list[str]:
    overrides = [part for setting in settings for part in ("--set", setting)]
    return ["docker", "buildx", "bake", "-f", str(definition), *overrides]


def inspect(references: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns name → image of the engine, by one request. Raises CommandFailed."""
    names = list(dict.fromkeys(references))
    answer = json.loads(capture(["docker", "image", "inspect", "--", *names])) if names else []
    return dict(zip(names, answer, strict=True))


def push(reference: str, config: Mapping[str, str]) -> str:
    """Pushes one tag and returns docker's last line. Raises CommandFailed."""
    return _last_line(capture(["docker", "push", "--", reference], extra=config, timeout=_TRANSFER))


def pull(reference: str, config: Mapping[str, str]) -> None:
    """Pulls one reference. Raises CommandFailed."""
    capture(["docker", "pull", "--quiet", "--", reference], extra=config, timeout=_TRANSFER)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def login(host: str, username: str, password: str, config: Mapping[str, str]) -> None:
    """Logs in; the password goes by stdin. Raises CommandFailed."""
    capture(
        ["docker", "login", f"--username={username}", "--password-stdin", "--", host],
        text=password,
        extra=config,
    )


def endpoint() -> str:
    """Returns the address of docker's engine, which a private DOCKER_CONFIG would otherwise forget."""
    named = os.environ.get("DOCKER_HOST")
    return (
        named or capture(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).strip()
    )


def up(project: str, file: Path, timeout: int) -> Ended:
    """Starts a stack and waits until it is healthy."""
    argv = [*_compose(project, file), "up", "-d", "--no-build", "--wait", "--wait-timeout", str(timeout)]
    return stream(argv, extra=_OWN)


def run(project: str, file: Path, service: str, command: Sequence[str] = ()) -> Ended:
    """Runs one service of a stack to its end, or, in its image, a command instead of its own."""
    entrypoint = ["--entrypoint", command[0]] if command else []
    argv = [*_compose(project, file), "run", "--rm", "-T", *entrypoint, "--", service, *command[1:]]
    return stream(argv, extra=_OWN)


def down(project: str, file: Path) -> None:
    """Removes a stack with its volumes and networks; a failure is a warning."""
    try:
        capture(_down(project, file), extra=_OWN)
    except CommandFailed as error:
        workflow_commands.warning(str(error), title=f"deployer: {project} is not fully removed")


def begin_down(project: str, file: Path, held: int) -> None:
    """Begins to remove a stack; the file behind `held` stays locked until the removal has ended."""
    start_alone(_down(project, file), held, extra=_OWN)


def _down(project: str, file: Path) -> list[str]:
    # Without the profile, services that only the tests needed would stay.
    return [*_compose(project, file), "--profile", TEST_PROFILE, "down", "-v", "--remove-orphans", "-t", "0"]


def containers(project: str, file: Path) -> list[dict[str, Any]]:
    """Returns the stack's containers from `docker compose ps`, which prints one JSON list, or one object a
    line.
    """
    text = capture([*_compose(project, file), "ps", "-a", "--format", "json"], extra=_OWN).strip()
    return (
        list(json.loads(text)) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    )


def logs(container: str, lines: int) -> Ended:
    """Prints the end of a container's log."""
    return stream(["docker", "logs", "--tail", str(lines), "--", container])


def last_check(container: str) -> str:
    """Returns the output of a container's newest health check."""
    log = json.loads(capture(["docker", "inspect", "-f", "{{json .State.Health.Log}}", "--", container]))
    return str(log[-1]["Output"]) if log else ""


def _compose(project: str, file: Path) -> list[str]:
    return ["docker", "compose", "-p", project, "-f", str(file)]
