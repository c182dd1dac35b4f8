"""`test`: the built images, running. In: rendered model, image ids, the user's command. Out: health.

The stack is the test's own and is always removed, also when the run is cancelled.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deployer.ci import docker, state, workflow
from deployer.ci.built import BuiltImage, require
from deployer.ci.context import Context, input_text, read_context
from deployer.ci.process import Ended, stream
from deployer.ci.stack import isolate, wait_seconds
from deployer.core.errors import CommandFailed, GateFailed

_LOG_LINES = 60


def run() -> None:
    """Raises CommandFailed for the user's command, GateFailed for the stack."""
    context, images = read_context(), require("build")
    command = input_text("test-command")
    if command:
        _run_command(command, context, images)
    _run_stack(context, images)


def _run_command(command: str, context: Context, images: Iterable[BuiltImage]) -> None:
    names = {f"IMAGE_{_variable(image.service)}": image.reference for image in images}
    with workflow.group("Test command"):
        ended = stream(["bash", "-euo", "pipefail", "-c", command], cwd=context.workspace, extra=names)
    if ended.code:
        raise CommandFailed(f"the test command ended with exit code {ended.code}: {ended.last_line}")


def _variable(service: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in service.upper())


def _run_stack(context: Context, images: Iterable[BuiltImage]) -> None:
    project = f"ci-{context.run_id}-{context.run.attempt}-{secrets.token_hex(3)}"
    model, ids = state.load("model"), {image.service: image.id for image in images}
    workspace = os.path.realpath(context.workspace)
    file = state.save("stack", isolate(model, ids, project=project, workspace=workspace))
    state.save("project", project)
    try:
        with workflow.group("Start the built images"):
            ended = docker.up(project, file, wait_seconds(model))
        _judge(ended, docker.containers(project, file))
    finally:
        remove_stack()


def remove_stack() -> None:
    """Removes the test's stack, if there is one; `report` calls it too, for a run that was killed."""
    project = state.load("project", "")
    if project:
        docker.down(project, Path(state.folder() / "stack.json"))
        state.save("project", "")


def _judge(ended: Ended, containers: list[dict[str, Any]]) -> None:
    for container in containers:
        workflow.say(f"{container['Service']}: {_condition(container)}")
    if not ended.code:
        return
    unwell = [container for container in containers if not _is_well(container)]
    for container in unwell:
        with workflow.group(f"Last {_LOG_LINES} log lines of {container['Service']}"):
            docker.logs(container["ID"], _LOG_LINES)
    causes = ", ".join(f"{container['Service']} is {_condition(container)}" for container in unwell)
    raise GateFailed(
        f"the built images do not run: {causes or ended.last_line}",
        hint="a service that ends by itself must be another's depends_on with service_completed_successfully",
    )


def _condition(container: Mapping[str, Any]) -> str:
    if container["State"] == "exited":
        return f"exited with code {container['ExitCode']}"
    return str(container["Health"] or container["State"])


def _is_well(container: Mapping[str, Any]) -> bool:
    return container["State"] == "running" and container["Health"] in ("", "healthy")
