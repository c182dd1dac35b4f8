"""`docker compose config`. In: a bundle and variables. Out: the model with variables filled in, or
ComposeRejected.

Compose's words may quote variables: the reason why it refuses a model is shown in its words for placeholders.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from deployer.adapters.docker.compose.bundle_folders import BundleFolders, name_of
from deployer.adapters.docker.compose.compose_command import ComposeCommand
from deployer.adapters.docker.compose.compose_yaml import WrittenFiles, parse_printed
from deployer.adapters.docker.compose.renderings import Rendering, Renderings
from deployer.adapters.system.limited_process import ExitedWithError
from deployer.core.compose.file_access import check_file_access
from deployer.core.compose.rendering import FILES, FOLDER, MOUNTED, RENDERING
from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle
from deployer.core.variables.placeholders import placeholders, quoted_names

_RENDER_TIMEOUT = 30.0
_KEPT_VERDICTS = 256


class ModelRenderer:
    """Renders Compose models, for deploys and for plans, once for the same input."""

    def __init__(self, command: ComposeCommand, folders: BundleFolders, renderings: Renderings) -> None:
        self._command = command
        self._folders = folders
        self._renderings = renderings
        self._thread = threading.local()  # `plan`: True while this thread makes a plan
        self._verdicts: dict[tuple[str, str], ComposeRejected | None] = {}  # folder, entry → why not

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> dict[str, Any]:
        """Returns the model with variables filled in. Raises ComposeRejected with Compose's own words."""
        self._check_file_access(bundle)
        plan = getattr(self._thread, "plan", False)
        folder = self._folders.unpack(bundle, plan=plan)
        name = _sha256(json.dumps([project, str(folder), bundle.entry, sorted(variables.items())]))
        made = self._renderings.find(name)
        if plan:
            self._renderings.note_plan(project, name, folder.name)
        if made is None:
            self._renderings.hide(project, name, variables)
            made = Rendering(bundle, dict(variables), folder, {}, plan)
            made.model = self._config(project, made) | {RENDERING: name}
        self._renderings.keep(project, name, made, plan=plan)
        return copy.deepcopy(made.model)

    @contextmanager
    def planning(self, bundle: Bundle) -> Iterator[None]:
        """Within, this thread renders the bundle for a plan, and nothing of that stays on the disk or in
        memory. Raises TooManyRequests or StoreUnavailable if the plan has no room.
        """
        try:
            with self._folders.plan(bundle):
                self._thread.plan = True
                yield
        finally:
            self._thread.plan = False
            if not self._folders.planning(bundle):
                self._renderings.forget_plans(name_of(bundle))

    def _config(self, project: str, rendering: Rendering) -> dict[str, Any]:
        try:
            text = self._command.run(project, rendering, ("config",), _RENDER_TIMEOUT)
        except ExitedWithError as error:
            raise self._rejected(project, rendering, error) from None
        model = parse_printed(text)
        if not isinstance(model, dict):
            raise ComposeRejected("docker compose config printed no model")
        files = {str(rendering.folder / name): _sha256(text) for name, text in rendering.bundle.files.items()}
        mounted = str(self._folders.mounted / rendering.folder.name)
        return model | {FILES: files, FOLDER: str(rendering.folder), MOUNTED: mounted}

    def _rejected(self, project: str, rendering: Rendering, error: ExitedWithError) -> ComposeRejected:
        """Returns the error for a reader that may not know the variables' values: its words are Compose's for
        a rendering with placeholders.
        """
        neutral = replace(rendering, variables=placeholders(rendering.variables))
        try:
            self._command.run(project, neutral, ("config",), _RENDER_TIMEOUT)
        except ExitedWithError as said:
            return ComposeRejected(str(said), hint="`docker compose config` on the same files shows the same")
        names = ", ".join(quoted_names(error.stderr, rendering.variables)) or "a variable"
        return ComposeRejected(
            f"docker compose cannot use the value of {names} where the Compose file has it",
            hint="Compose's words may quote it: `docker compose config` with the same variables shows them",
        )

    def _check_file_access(self, bundle: Bundle) -> None:
        """Checks the same content once: the verdict depends on nothing else. Raises ComposeRejected."""
        key = (name_of(bundle), bundle.entry)
        if key not in self._verdicts:
            self._verdicts[key] = _file_access_error(bundle)
            for oldest in list(self._verdicts)[:-_KEPT_VERDICTS]:
                self._verdicts.pop(oldest, None)
        if verdict := self._verdicts[key]:
            raise ComposeRejected(str(verdict), hint=verdict.hint)


def _file_access_error(bundle: Bundle) -> ComposeRejected | None:
    try:
        check_file_access(bundle.entry, bundle.files, WrittenFiles().parse)
    except ComposeRejected as error:
        return error
    return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
