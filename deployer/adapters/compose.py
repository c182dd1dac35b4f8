"""`docker compose`, the command. In: files and model. Out: the rendered model, created containers. Starts and
stops nothing.

Only Compose knows how to read its files and to turn a service into a container, so both are left to it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deployer.adapters.files import write_whole
from deployer.adapters.lock import hold
from deployer.adapters.shell import run
from deployer.core.application import FILES, FOLDER, Application
from deployer.core.errors import CommandFailed, ComposeRejected
from deployer.core.model import Bundle

_RENDER_TIMEOUT = 30.0
_CREATE_TIMEOUT = 120.0


class Compose:
    """Compose with its files below `state`, which the engine's host must see under the same path."""

    def __init__(self, state: Path) -> None:
        self._bundles = state / "bundles"
        self._projects = state / "projects"
        self._held: dict[str, int] = {}

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
        folder = self._unpack(bundle)
        with tempfile.TemporaryDirectory(prefix="deployer-") as private:
            env_file = Path(private) / "variables"
            write_whole(env_file, _dotenv(variables))
            argv = [
                "docker",
                "compose",
                "-p",
                project,
                "--project-directory",
                str((folder / bundle.entry).parent),
            ]
            argv += ["--env-file", str(env_file), "-f", str(folder / bundle.entry), "config"]
            try:
                text = run(argv, timeout=_RENDER_TIMEOUT).stdout
            except CommandFailed as error:
                raise ComposeRejected(
                    str(error), hint="`docker compose config` on the same files shows the same"
                ) from None
        model = yaml.load(text, Loader=yaml.CSafeLoader)
        if not isinstance(model, dict):
            raise ComposeRejected("docker compose config printed no model")
        files = {str(folder / name): _sha256(text) for name, text in bundle.files.items()}
        return model | {FILES: files, FOLDER: str(folder)}

    def create(self, application: Application, counts: Mapping[str, int]) -> None:
        """Creates containers until each service has `counts` of them; what exists is left as it is."""
        argv = ["docker", "compose", "-p", application.project, "-f", str(self.save(application))]
        argv += [
            "up",
            "--no-start",
            "--no-recreate",
            "--no-deps",
            "--no-build",
            "--pull",
            "never",
            "--quiet-pull",
        ]
        for service, count in sorted(counts.items()):
            argv += ["--scale", f"{service}={count}"]
        try:
            run([*argv, *sorted(counts)], timeout=_CREATE_TIMEOUT, keep=self._holding(application.project))
        except CommandFailed as error:
            raise ComposeRejected(f"containers of {application.project} cannot be created: {error}") from None

    def save(self, application: Application) -> Path:
        """Writes the model that is being applied to where `docker compose -f` finds it by hand."""
        path = self._projects / application.project / "compose.yaml"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, json.dumps(application.document, indent=1, sort_keys=True))
        return path

    def _holding(self, project: str) -> tuple[int, ...]:
        return (self._held[project],) if project in self._held else ()

    def _unpack(self, bundle: Bundle) -> Path:
        """The bundle's files in a folder named by their content: the same files keep the same paths."""
        folder = self._bundles / _sha256(json.dumps(dict(bundle.files), sort_keys=True))[:16]
        for name, content in bundle.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            if not path.exists():
                write_whole(path, content, mode=0o644)
        self._bundles.chmod(0o711)
        return folder


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _dotenv(variables: Mapping[str, str]) -> str:
    """Single quotes take every character as it is but the quote itself and line ends, which Compose reads in
    double quotes.
    """
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(variables.items()))


def _quoted(value: str) -> str:
    if "'" not in value and "\n" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'
