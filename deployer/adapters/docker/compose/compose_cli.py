"""`docker compose`, the command. In: files and variables. Out: the rendered model, and what Compose would
create from it. Starts and stops nothing.

Only Compose knows how to read its files and to turn a service into a container, so both are left to it. What
it says may quote variables: why it refuses a model is told in the words that it has for placeholders, and
what else it says leaves this room redacted.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from deployer.adapters.docker.compose.bundle_folders import BundleFolders, name_of
from deployer.adapters.docker.compose.compose_process import ComposeProcess
from deployer.adapters.docker.compose.compose_recorder import Forward, recording
from deployer.adapters.docker.compose.compose_yaml import WrittenFiles, parse_printed
from deployer.adapters.docker.container_errors import refusal
from deployer.adapters.system.file_lock import hold
from deployer.adapters.system.files import make_folder, write_whole
from deployer.adapters.system.limited_process import ExitedWithError
from deployer.core.compose.file_access import check_file_access
from deployer.core.compose.placeholders import placeholders, quoted_names
from deployer.core.compose.rendering import FILES, FOLDER, MOUNTED, RENDERING
from deployer.core.docker.compose_calls import PermittedCall, permit_call
from deployer.core.docker.container_requests import CreateRequest
from deployer.core.docker.network_requests import nothing_present
from deployer.core.errors import ComposeRejected, DeployerError, EngineUnavailable
from deployer.core.model import Bundle
from deployer.core.permissions.project_permissions import Present
from deployer.core.redaction import hide_values
from deployer.core.rollout.desired_state import DesiredState

_RENDER_TIMEOUT = 30.0
_CREATE_TIMEOUT = 120.0
_CREATE = ("up", "--no-start", "--no-build", "--pull", "never", "--quiet-pull")
_KEPT_RENDERINGS, _KEPT_VERDICTS = 64, 256
_KEPT_VALUES = 64  # renderings of one project whose values no error shows
_LATELY = 3600.0  # seconds
_SECCOMP_PROFILE = re.compile(r"^seccomp[:=](/.+)")
_FROM_ENGINE = "Error response from daemon: "
_MISSING = re.compile(r"network (\S+) declared as external, but could not be found")
_NO_ENGINE = ("Cannot connect to the Docker daemon", "error during connect")


@dataclass
class _Rendering:
    """Bundle with its variables: the same ones always give the same model and the same containers."""

    bundle: Bundle
    variables: Mapping[str, str]
    folder: Path
    model: dict[str, Any]
    plan: bool  # nothing but plans asked for it
    recorded: dict[str, tuple[CreateRequest, ...]] = field(
        default_factory=dict
    )  # by the ids it was made with


class Compose:
    """Compose with its files below `state`, which the engine's host must see under the same path."""

    def __init__(self, state: Path, process: ComposeProcess | None = None) -> None:
        self._state = state
        self._process = process or ComposeProcess()
        self._folders = BundleFolders(state)
        self._asked = threading.local()  # `plan`: whether this thread makes one
        self._planned: dict[str, dict[str, str]] = {}  # folder of plans → rendering → project
        self._projects = state / "projects"
        self._held: dict[str, int] = {}
        self._values: dict[
            str, dict[str, frozenset[str]]
        ] = {}  # project → rendering → what no error may show
        self._renderings: dict[str, _Rendering] = {}  # name → rendering, oldest first
        self._verdicts: dict[tuple[str, str], ComposeRejected | None] = {}  # folder → why not, oldest first

    @contextmanager
    def exclusive(self, project: str, wait: float) -> Iterator[None]:
        """Holds the project's lock, and lets every child that changes the project hold it too."""
        with hold(self._projects / f"{project}.lock", wait=wait) as descriptor:
            self._held[project] = descriptor
            try:
                yield
            finally:
                del self._held[project]

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> dict[str, Any]:
        """The model with variables filled in. Raises ComposeRejected with Compose's own words."""
        self._judge_files(bundle)
        plan = getattr(self._asked, "plan", False)
        folder = self._folders.unpack(bundle, plan=plan)
        name = _sha256(json.dumps([project, str(folder), bundle.entry, sorted(variables.items())]))
        made = self._renderings.get(name)
        if plan:
            self._planned.setdefault(folder.name, {})[name] = project
        if made is None:
            self._hide(project, name, variables)
            made = _Rendering(bundle, dict(variables), folder, {}, plan)
            made.model = self._config(project, made) | {RENDERING: name}
        made.plan = made.plan and plan
        self._renderings[name] = made
        self._forget_oldest(project)
        return copy.deepcopy(made.model)

    @contextmanager
    def planning(self, bundle: Bundle) -> Iterator[None]:
        """Within, this thread renders the bundle for a plan, and nothing of that stays on the disk or in
        memory. Raises TooManyRequests or StoreUnavailable where there is no room for it.
        """
        try:
            with self._folders.plan(bundle):
                self._asked.plan = True
                yield
        finally:
            self._asked.plan = False
            if not self._folders.planning(bundle):
                self._forget_plans(name_of(bundle))

    def _forget_plans(self, folder: str) -> None:
        for name, project in self._planned.pop(folder, {}).items():
            made = self._renderings.get(name)
            if made is None or made.plan:
                self._renderings.pop(name, None)
                self._values.get(project, {}).pop(name, None)

    def _forget_oldest(self, project: str) -> None:
        """Plans are forgotten by themselves, and push nothing out that a deploy works with."""
        lasting = [name for name, made in list(self._renderings.items()) if not made.plan]
        for name in lasting[:-_KEPT_RENDERINGS]:
            self._renderings.pop(name, None)
        hidden = self._values.get(project, {})
        for name in list(hidden)[:-_KEPT_VALUES]:
            if name not in self._renderings:
                hidden.pop(name, None)

    def _hide(self, project: str, name: str, variables: Mapping[str, str]) -> None:
        """From now on no error shows these values."""
        self._values.setdefault(project, {})[name] = frozenset(variables.values())

    def _config(self, project: str, rendering: _Rendering) -> dict[str, Any]:
        try:
            text = self._call(project, rendering, ("config",), _RENDER_TIMEOUT)
        except ExitedWithError as error:
            raise self._rejected(project, rendering, error) from None
        model = parse_printed(text)
        if not isinstance(model, dict):
            raise ComposeRejected("docker compose config printed no model")
        files = {str(rendering.folder / name): _sha256(text) for name, text in rendering.bundle.files.items()}
        mounted = str(self._folders.mounted / rendering.folder.name)
        return model | {FILES: files, FOLDER: str(rendering.folder), MOUNTED: mounted}

    def _rejected(self, project: str, rendering: _Rendering, error: ExitedWithError) -> ComposeRejected:
        """Its reader may not know the variables' values, so the words are those of a rendering that never saw
        them.
        """
        neutral = replace(rendering, variables=placeholders(rendering.variables))
        try:
            self._call(project, neutral, ("config",), _RENDER_TIMEOUT)
        except ExitedWithError as said:
            return ComposeRejected(str(said), hint="`docker compose config` on the same files shows the same")
        names = ", ".join(quoted_names(error.stderr, rendering.variables)) or "a variable"
        return ComposeRejected(
            f"docker compose cannot use the value of {names} where the Compose file has it",
            hint="Compose's words may quote it: `docker compose config` with the same variables shows them",
        )

    def record(
        self,
        application: DesiredState,
        forward: Forward,
        ids: Mapping[str, str],
        present: Callable[[], Present] = nothing_present,
    ) -> tuple[CreateRequest, ...]:
        """Records the containers that Compose would create for the whole application, one container a
        service; its networks and volumes are made, judged by what is `present`. Compose is asked once a
        rendering. Raises ContainerRefused, ComposeRejected, SubnetTaken or EngineUnavailable.
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
                self._call(application.project, rendering, words, _CREATE_TIMEOUT, socket, profiles)
            except ExitedWithError as error:
                raise recorder.broken or _judged(application.project, error) from None
        rendering.recorded[key] = recorder.recorded
        return recorder.recorded

    def forget(self, application: DesiredState) -> None:
        self._renderings[application.rendering].recorded.clear()

    def _call(
        self,
        project: str,
        rendering: _Rendering,
        words: Sequence[str],
        timeout: float,
        socket: Path | None = None,
        readable: Sequence[Path] = (),
    ) -> str:
        """Compose on the user's own files, with the variables in memory. `socket`: the engine that it has."""
        self._process.let_in(project, self._state, socket)
        folder = (rendering.folder / rendering.bundle.entry).parent
        where = ("-p", project, "--project-directory", str(folder))
        return self._process.run(
            (*where, "-f", str(rendering.folder / rendering.bundle.entry), *words),
            project=project,
            folder=folder,
            readable=(rendering.folder, *readable),
            variables=rendering.variables,
            timeout=timeout,
            socket=socket,
            keep=self._holding(project),
            hide=self._hiding(project),
        )

    def save(self, application: DesiredState) -> Path:
        """Writes the model that runs to where `docker compose -f` finds it by hand."""
        path = self.path(application.project)
        make_folder(path.parent)
        text = json.dumps(application.document, indent=1, sort_keys=True)
        write_whole(path, text)
        return path

    def path(self, project: str) -> Path:
        return self._projects / project / "compose.yaml"

    @property
    def bundles(self) -> Path:
        """Where the files of all releases lie."""
        return self._folders.mounted

    def _holding(self, project: str) -> tuple[int, ...]:
        return (self._held[project],) if project in self._held else ()

    def _hiding(self, project: str) -> Callable[[str], str]:
        """Also for a container that is created long after its variables were read."""
        kept = list(self._values.get(project, {}).values())
        return partial(hide_values, values=frozenset().union(*kept))

    def keep(self, bundles: Sequence[Bundle], mounted: Collection[str]) -> int:
        """Removes the folders of other bundles; `mounted`: paths of the host that containers mount."""
        return self._folders.keep(bundles, mounted)

    def keep_written(self, source: str) -> Sequence[str]:
        """Copies of what containers wrote to a file of a release; `source` is any path of the host. Raises
        StoreUnavailable.
        """
        return self._folders.keep_written(source)

    def _judge_files(self, bundle: Bundle) -> None:
        """Once for the same content: it depends on nothing else. Raises ComposeRejected."""
        key = (name_of(bundle), bundle.entry)
        if key not in self._verdicts:
            self._verdicts[key] = _verdict(bundle)
            for oldest in list(self._verdicts)[:-_KEPT_VERDICTS]:
                self._verdicts.pop(oldest, None)
        if verdict := self._verdicts[key]:
            raise ComposeRejected(str(verdict), hint=verdict.hint)


def _verdict(bundle: Bundle) -> ComposeRejected | None:
    try:
        check_file_access(bundle.entry, bundle.files, WrittenFiles().parse)
    except ComposeRejected as error:
        return error
    return None


def _seccomp_profiles(document: Mapping[str, Any], state: Path) -> list[Path]:
    """Files outside the release that Compose reads itself; the settings grant each (`core/powers.py`), and
    none is our own.
    """
    services: Mapping[str, Mapping[str, Any]] = document["services"]
    options = (str(one) for service in services.values() for one in service.get("security_opt") or ())
    named = (path for one in options for path in _SECCOMP_PROFILE.findall(one))
    return [Path(path) for path in named if not Path(path).resolve().is_relative_to(state.resolve())]


def _judged(project: str, error: ExitedWithError) -> DeployerError:
    """Classifies the failure of Compose: the engine, the Compose file or the deployer."""
    action = f"containers of {project} cannot be created"
    if any(words in error.stderr for words in _NO_ENGINE):
        return EngineUnavailable(f"{action}: {error}", hint="is Docker running and DOCKER_HOST right?")
    if missing := _MISSING.search(error.stderr):  # newer Compose asks by itself
        return refusal(action, f"network {missing[1]} not found")
    _, refused, words = error.stderr.rpartition(_FROM_ENGINE)
    return refusal(action, words) if refused else ComposeRejected(f"{action}: {error}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
