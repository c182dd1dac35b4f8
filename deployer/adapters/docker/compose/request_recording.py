"""`docker compose up --no-start` against a recorder. In: an application. Out: the create requests that
Compose would send; its networks and volumes are made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deployer.adapters.docker.compose.compose_command import ComposeCommand
from deployer.adapters.docker.compose.compose_recorder import Forward, recording
from deployer.adapters.docker.compose.renderings import Renderings
from deployer.adapters.docker.container_errors import refusal
from deployer.adapters.system.limited_process import ExitedWithError
from deployer.core.docker.compose_calls import PermittedCall, permit_call
from deployer.core.docker.container_requests import CreateRequest
from deployer.core.docker.network_requests import nothing_present
from deployer.core.errors import ComposeRejected, DeployerError, EngineUnavailable
from deployer.core.permissions.project_permissions import Present
from deployer.core.rollout.desired_state import DesiredState

_CREATE_TIMEOUT = 120.0
_CREATE = ("up", "--no-start", "--no-build", "--pull", "never", "--quiet-pull")
_SECCOMP_PROFILE = re.compile(r"^seccomp[:=](/.+)")
_FROM_ENGINE = "Error response from daemon: "
_MISSING = re.compile(r"network (\S+) declared as external, but could not be found")
_NO_ENGINE = ("Cannot connect to the Docker daemon", "error during connect")


class RequestRecording:
    """Records Compose's create requests of an application, once for each rendering."""

    def __init__(self, state: Path, command: ComposeCommand, renderings: Renderings) -> None:
        self._state = state
        self._command = command
        self._renderings = renderings

    def record(
        self,
        application: DesiredState,
        forward: Forward,
        ids: Mapping[str, str],
        present: Callable[[], Present] = nothing_present,
    ) -> tuple[CreateRequest, ...]:
        """Returns one create request for each service of the whole application; its networks and volumes are
        made, judged by `present`. Raises ContainerRefused, ComposeRejected, SubnetTaken or EngineUnavailable.
        """
        rendering = self._renderings[application.rendering]
        key = json.dumps(sorted(ids.items()))
        if key in rendering.recorded:
            return rendering.recorded[key]
        words = list(_CREATE)
        for service in application.document["services"]:
            words += ["--scale", f"{service}=1"]
        socket = self._state / f"{application.project}.sock"
        profiles = _seccomp_profiles(application.document, self._state)

        def permit(method: str, path: str, body: bytes) -> PermittedCall:
            return permit_call(method, path, body, application.permissions, present)

        with recording(socket, forward, ids, permit) as recorder:
            try:
                self._command.run(application.project, rendering, words, _CREATE_TIMEOUT, socket, profiles)
            except ExitedWithError as error:
                raise recorder.broken or _classified(application.project, error) from None
        rendering.recorded[key] = recorder.recorded
        return recorder.recorded

    def forget(self, application: DesiredState) -> None:
        self._renderings[application.rendering].recorded.clear()


def _seccomp_profiles(document: Mapping[str, Any], state: Path) -> list[Path]:
    """Returns the files outside the release that Compose reads itself. The settings grant each
    (`core/permissions`), and none lies in the state folder.
    """
    services: Mapping[str, Mapping[str, Any]] = document["services"]
    options = (str(one) for service in services.values() for one in service.get("security_opt") or ())
    named = (path for one in options for path in _SECCOMP_PROFILE.findall(one))
    return [Path(path) for path in named if not Path(path).resolve().is_relative_to(state.resolve())]


def _classified(project: str, error: ExitedWithError) -> DeployerError:
    """Classifies the failure of Compose: the engine, the Compose file or the deployer."""
    action = f"containers of {project} cannot be created"
    if any(words in error.stderr for words in _NO_ENGINE):
        return EngineUnavailable(f"{action}: {error}", hint="is Docker running and DOCKER_HOST right?")
    if missing := _MISSING.search(error.stderr):  # newer Compose asks by itself
        return refusal(action, f"network {missing[1]} not found")
    _, refused, words = error.stderr.rpartition(_FROM_ENGINE)
    return refusal(action, words) if refused else ComposeRejected(f"{action}: {error}")
