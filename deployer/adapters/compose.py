"""`docker compose`, the command. In: files and model. Out: the rendered model, created containers. Starts and
stops nothing.

Only Compose knows how to read its files and to turn a service into a container, so both are left to it. What
it says may quote variables: nothing of that leaves this room unredacted.

A bundle's files are mounted into containers that run under any user, so the files and the folders they lie in
are readable by all; what keeps others on the machine away is the state folder, which only we may enter. The
engine opens a mount's source as root and does not need to pass through there as anybody else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from deployer.adapters.files import make_folder, write_whole
from deployer.adapters.lock import hold
from deployer.adapters.refusals import refusal
from deployer.adapters.shell import ExitedWithError, run
from deployer.core.application import FILES, FOLDER, Application
from deployer.core.confine import refuse_outside
from deployer.core.errors import ComposeRejected, DeployerError, EngineUnavailable, StoreUnavailable
from deployer.core.model import Bundle
from deployer.core.release import redact
from deployer.core.request import is_bundle_path

_RENDER_TIMEOUT = 30.0
_CREATE_TIMEOUT = 120.0
_CREATE = ("up", "--no-start", "--no-recreate", "--no-deps", "--no-build", "--pull", "never", "--quiet-pull")
_FROM_ENGINE = "Error response from daemon: "
_NO_ENGINE = ("Cannot connect to the Docker daemon", "error during connect")


class Compose:
    """Compose with its files below `state`, which the engine's host must see under the same path."""

    def __init__(self, state: Path) -> None:
        self._bundles = state / "bundles"
        self._projects = state / "projects"
        self._held: dict[str, int] = {}
        self._values: dict[str, dict[str, str]] = {}  # project → what no error may show

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
        for content in bundle.files.values():  # whatever its name: Compose includes any file
            refuse_outside(_parse(content), variables)
        folder = self._unpack(bundle)
        entry = folder / bundle.entry
        for value in variables.values():
            self._values.setdefault(project, {}).update((text, text) for text in _spellings(value))
        argv = ["docker", "compose", "-p", project, "--project-directory", str(entry.parent)]
        with _in_memory(_dotenv(variables)) as descriptor:
            argv += ["--env-file", f"/dev/fd/{descriptor}", "-f", str(entry), "config"]
            try:
                text = run(
                    argv, timeout=_RENDER_TIMEOUT, keep=(descriptor,), hide=self._hiding(project)
                ).stdout
            except ExitedWithError as error:
                raise ComposeRejected(
                    str(error), hint="`docker compose config` on the same files shows the same"
                ) from None
        model = yaml.load(text, Loader=_Printed)
        if not isinstance(model, dict):
            raise ComposeRejected("docker compose config printed no model")
        files = {str(folder / name): _sha256(text) for name, text in bundle.files.items()}
        return model | {FILES: files, FOLDER: str(folder)}

    def create(self, application: Application, counts: Mapping[str, int]) -> None:
        """Creates containers until each service has `counts` of them; what exists is left as it is. Raises
        ContainerRefused, ComposeRejected or EngineUnavailable.
        """
        project = application.project
        argv = ["docker", "compose", "-p", project, "-f", str(self.save(application)), *_CREATE]
        for service, count in sorted(counts.items()):
            argv += ["--scale", f"{service}={count}"]
        argv += sorted(counts)
        try:
            run(argv, timeout=_CREATE_TIMEOUT, keep=self._holding(project), hide=self._hiding(project))
        except ExitedWithError as error:
            raise _judged(project, error) from None

    def save(self, application: Application) -> Path:
        """Writes the model that is being applied to where `docker compose -f` finds it by hand."""
        path = self._projects / application.project / "compose.yaml"
        make_folder(path.parent)
        write_whole(path, json.dumps(application.document, indent=1, sort_keys=True))
        return path

    def _holding(self, project: str) -> tuple[int, ...]:
        return (self._held[project],) if project in self._held else ()

    def _hiding(self, project: str) -> Callable[[str], str]:
        """Also for a container that is created long after its variables were read."""
        return partial(redact, variables=self._values.get(project, {}))

    def _unpack(self, bundle: Bundle) -> Path:
        """The bundle's files in a folder named by their content: the same files keep the same paths."""
        folder = self._bundles / _sha256(json.dumps(dict(bundle.files), sort_keys=True))[:16]
        make_folder(self._bundles, 0o711)
        make_folder(folder, 0o755)
        for name, content in bundle.files.items():
            _check_path(folder, name)
            path = folder / name
            make_folder(path.parent, 0o755)
            if not _holds(path, content):
                write_whole(path, content, mode=0o755 if content.startswith("#!") else 0o644)
        return folder


def _check_path(folder: Path, name: str) -> None:
    """A container that may write to a folder it mounts could have put a link there that leads elsewhere."""
    if not is_bundle_path(name):
        raise ComposeRejected(f"{name!r} is not a path inside the repository")
    if any((folder / part).is_symlink() for part in (PurePosixPath(name), *PurePosixPath(name).parents)):
        raise ComposeRejected(
            f"{folder / name} has become a link",
            hint=f"a container changed what it mounts; remove {folder} and look for the one that did",
        )


def _holds(path: Path, content: str) -> bool:
    try:
        return path.read_bytes() == content.encode()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror}") from None


@contextmanager
def _in_memory(text: str) -> Iterator[int]:
    """A file that never touches a disk: a kill leaves nothing of it, and a full disk stops no way back."""
    descriptor = os.memfd_create("variables")
    try:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _judged(project: str, error: ExitedWithError) -> DeployerError:
    """Whose fault it is that the containers were not created."""
    action = f"containers of {project} cannot be created"
    if any(words in error.stderr for words in _NO_ENGINE):
        return EngineUnavailable(f"{action}: {error}", hint="is Docker running and DOCKER_HOST right?")
    _, refused, words = error.stderr.rpartition(_FROM_ENGINE)
    return refusal(action, words) if refused else ComposeRejected(f"{action}: {error}")


class _Printed(yaml.CSafeLoader):
    """What Compose prints is plain: `=` and `<<` are words in it, not YAML 1.1's values and merges."""


_Printed.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0].rpartition(":")[2] not in ("value", "merge")]
    for letter, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class _Written(yaml.CSafeLoader):
    """What people write, with Compose's own tags (`!reset`, `!override`) read as what they stand before."""


def _plain(loader: yaml.CSafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Written.add_multi_constructor("!", _plain)


def _parse(text: str) -> Any:
    """None for what is not YAML; where it matters, Compose will say so better."""
    try:
        return yaml.load(text, Loader=_Written)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _spellings(value: str) -> set[str]:
    """A value as an error may show it: whole, quoted, or one line of it."""
    return {value, json.dumps(value, ensure_ascii=False)[1:-1], *value.splitlines()}


def _dotenv(variables: Mapping[str, str]) -> str:
    """Single quotes take every character as it is but the quote itself, a line's end and a backslash, which
    Compose reads in double quotes.
    """
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(variables.items()))


def _quoted(value: str) -> str:
    if not set(value) & {"'", "\n", "\\"}:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'
