"""`test`: runs the built images. In: rendered model, image ids, the user's command. Out: health.

The stack is the test's own and is always removed, also when the run is cancelled.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage, load_test_images, require
from deployer.ci.child_processes import Ended, stream
from deployer.ci.github import workflow_commands
from deployer.ci.github.annotations import point_at
from deployer.ci.github.inputs import Context, input_text, read_context
from deployer.ci.images import docker_cli
from deployer.ci.images.stack_failure import Failure, find_cause
from deployer.ci.images.test_stack import isolate, left_out, spread, wait_seconds
from deployer.ci.steps.build import is_test
from deployer.core.compose.image_defaults import with_image_defaults
from deployer.core.compose.services import is_checked
from deployer.core.errors import CommandFailed, GateFailed
from deployer.core.image_config import parse_image_config

_LOG_LINES = 60
_REMOVAL = 60.0


def run() -> None:
    """Tests the images. Raises CommandFailed for the user's tests, GateFailed for the stack."""
    context, images = read_context(), require("build")
    if run_state.load("tested", False):
        workflow_commands.say(
            "tested already: these images passed this test with this Compose file; not run again"
        )
        return
    command, service = input_text("test-command"), input_text("test-service")
    model = run_state.load("model")
    if command and not service:
        _run_command(command, context, images)
    _run_stack(context, [*images, *load_test_images()], model, command if service else "", service)


def _run_command(command: str, context: Context, images: Iterable[BuiltImage]) -> None:
    names = {f"IMAGE_{_variable(image.service)}": _name(image) for image in images}
    with workflow_commands.group("Test command"):
        ended = stream(["bash", "-euo", "pipefail", "-c", command], cwd=context.workspace, extra=names)
    if ended.code:
        point_at(ended.tail, context.workspace)
        raise CommandFailed(f"the test command ended with exit code {ended.code}: {ended.last_line}")


def _name(image: BuiltImage) -> str:
    """Returns docker's name for the image: a reused image has a digest but no tag, because
    nothing was built.
    """
    return f"{image.repository}@{image.digest}" if image.reused else image.reference


def _variable(service: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in service.upper())


def _run_stack(
    context: Context, images: Iterable[BuiltImage], model: Mapping[str, Any], command: str, service: str
) -> None:
    project = f"ci-{context.run_id}-{context.run.attempt}-{secrets.token_hex(3)}"
    built = list(images)
    repositories = {image.service: image.repository for image in built}
    ids = spread(model, {image.service: image.id for image in built}, repositories)
    workspace = os.path.realpath(context.workspace)
    file = run_state.save("stack", isolate(model, ids, project=project, workspace=workspace))
    run_state.save("project", project)
    _say_left_out(model)
    try:
        with workflow_commands.group("Start the built images"):
            services = _with_images(model["services"], ids)
            ended = docker_cli.up(project, file, wait_seconds({"services": services}))
        if ended.code:
            _explain(ended, docker_cli.containers(project, file), services)
        _say_well(services)
        if command:
            _run_service(project, file, service, ["sh", "-euc", command])
        for name in find_tests(model["services"]):
            _run_service(project, file, name, [])
    except BaseException:
        remove_stack()
        raise
    # The push need not wait for the removal; `report` does.
    with _removal() as lock:
        docker_cli.begin_down(project, file, lock.fileno())


def _say_left_out(model: Mapping[str, Any]) -> None:
    for service, keys in left_out(model).items():
        workflow_commands.say(
            f"{service}: tested without {', '.join(keys)}, which the server has and a runner need not have"
        )


def _with_images(services: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]) -> Mapping[str, Any]:
    """Returns the services with the health checks of their built images."""
    found = docker_cli.inspect(ids.values())
    return {
        name: with_image_defaults(service, parse_image_config(found[ids[name]].get("Config") or {}))
        if name in ids
        else service
        for name, service in services.items()
    }


def find_tests(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the services of the profile `test`, except those that another of them only depends on."""
    tests = {name: service for name, service in services.items() if is_test(service)}
    needed = {other for service in tests.values() for other in service.get("depends_on") or {}}
    return [name for name in tests if name not in needed]


def _run_service(project: str, file: Path, service: str, command: Sequence[str]) -> None:
    with workflow_commands.group(f"Test in {service}"):
        ended = docker_cli.run(project, file, service, command)
    if ended.code:
        raise CommandFailed(f"the test in {service} ended with exit code {ended.code}: {ended.last_line}")


def remove_stack() -> None:
    """Removes the test's stack, if there is one; `report` calls it too, for a run that was killed."""
    project = run_state.load("project", "")
    if isinstance(project, str) and project:
        _await_removal()
        docker_cli.down(project, Path(run_state.folder() / "stack.json"))
        run_state.save("project", "")


@contextmanager
def _removal() -> Iterator[IO[str]]:
    """Holds the lock of a removal under way."""
    with run_state.save_text("removal", "").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _await_removal() -> None:
    path, until = run_state.folder() / "removal", time.monotonic() + _REMOVAL
    if not path.exists():
        return
    with path.open("r+") as lock:
        while time.monotonic() < until:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return


def _say_well(services: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the services' state. Compose waited for it, and asking again would take as long as a
    small test.
    """
    for name, service in services.items():
        if not is_test(service):
            workflow_commands.say(f"{name}: {'healthy' if is_checked(service) else 'started'}")


def _explain(ended: Ended, containers: list[dict[str, Any]], services: Mapping[str, Any]) -> None:
    """Prints the state and logs of failed containers. Raises GateFailed."""
    for container in containers:
        workflow_commands.say(f"{container['Service']}: {_condition(container)}")
    failures = [_failure(container) for container in containers if not _is_well(container)]
    cause = find_cause(failures, ended.tail, services)
    raise GateFailed(f"the built images do not run: {cause.message}", hint=cause.hint)


def _failure(container: Mapping[str, Any]) -> Failure:
    with workflow_commands.group(f"Last {_LOG_LINES} log lines of {container['Service']}"):
        printed = docker_cli.logs(container["ID"], _LOG_LINES).tail
    checked = docker_cli.last_check(container["ID"]) if container["Health"] == "unhealthy" else ""
    code = int(container["ExitCode"]) if container["State"] == "exited" else None
    return Failure(container["Service"], _condition(container), code, checked or printed)


def _condition(container: Mapping[str, Any]) -> str:
    if container["State"] == "exited":
        return f"exited with code {container['ExitCode']}"
    return str(container["Health"] or container["State"])


def _is_well(container: Mapping[str, Any]) -> bool:
    return container["State"] == "running" and container["Health"] in ("", "healthy")
