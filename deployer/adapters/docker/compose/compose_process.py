"""The `docker compose` process. In: arguments, the folders that it may read, variables. Out: its output, or
CommandFailed.

The plugin is started as the `docker` command would start it, without `docker` and its configuration, which
may hold logins. Its environment holds only HOME: every name in it would take precedence over the variable of
that name in a repository's file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deployer.adapters.system.confined_process import Confined, find_confinement
from deployer.adapters.system.limited_process import run
from deployer.core.docker.compose_confinement import Confinement, Means, group_of_all, user_of
from deployer.core.errors import CommandFailed

_PLUGIN = "docker-compose"
_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_CALLED_BY_DOCKER = {"DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": "docker"}
_NO_CONFIGURATION = "/nonexistent/docker"
_VERSION_TIMEOUT = 10.0


class ComposeProcess:
    """Starts Compose in a confinement; None: the strongest one of this machine."""

    def __init__(self, confinement: Confinement | None = None) -> None:
        self.confinement = confinement or find_confinement()

    def give_access(self, project: str, state: Path, socket: Path | None) -> None:
        """Gives a Compose with its own user access to its folder and its socket."""
        if self.confinement.means is Means.OWN_USER:
            os.chown(state, -1, group_of_all())
            state.chmod(0o710)
            if socket:
                os.chown(socket, user_of(project), -1)

    def run(
        self,
        words: Sequence[str],
        *,
        project: str,
        folder: Path = Path("/"),
        readable: Sequence[Path] = (),
        variables: Mapping[str, str],
        timeout: float,
        socket: Path | None = None,
        keep: Sequence[int] = (),
        hide: Callable[[str], str] = str,
    ) -> str:
        """Runs Compose and returns its output. `folder`: its working directory; `readable`: files, and
        folders with everything in them; `socket`: the engine's; `keep` and `hide` as in
        `limited_process.run`.
        """
        program = _find_plugin()
        engine = ["-H", f"unix://{socket}"] if socket else []
        with _in_memory(_dotenv(variables)) as descriptor:
            argv = [program, "--config", _NO_CONFIGURATION, *engine, "compose"]
            argv += ["--env-file", f"/dev/fd/{descriptor}", *words]
            return run(
                argv,
                timeout=timeout,
                environment=_environment(variables),
                keep=(descriptor, *keep),
                folder=str(folder),
                hide=hide,
                name="docker compose",
                confined=Confined(self.confinement, project, program, [str(path) for path in readable]),
            ).stdout

    def version(self) -> str:
        """Returns Compose's version. Raises CommandFailed if it does not start in its confinement."""
        words = ("version", "--short")
        return self.run(words, project="", variables={}, timeout=_VERSION_TIMEOUT).strip()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment. HOME stays, so that `~` in a path is the deployer's home, as on the command
    line.
    """
    kept = {"HOME"} & set(os.environ) - set(variables)
    return _CALLED_BY_DOCKER | {name: os.environ[name] for name in kept}


def _find_plugin() -> str:
    """Returns the plugin's path; the search order is the `docker` command's. Raises CommandFailed."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME") or "/", ".docker"))
    folders = [*_extra_folders(own), str(own / "cli-plugins"), *_FOLDERS]
    for folder in folders:
        path = Path(folder) / _PLUGIN
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise CommandFailed(
        "docker compose cannot be started: the plugin docker-compose is in none of Docker's plugin folders",
        hint=f"install Docker Compose; looked in {', '.join(folders)}",
    )


def _extra_folders(configuration: Path) -> list[str]:
    try:
        named = json.loads((configuration / "config.json").read_text(encoding="utf-8"))["cliPluginsExtraDirs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(folder) for folder in named] if isinstance(named, list) else []


@contextmanager
def _in_memory(text: str) -> Iterator[int]:
    """Opens a file in memory: a killed process leaves nothing of it, and a full disk does not stop a
    rollback.
    """
    descriptor = os.memfd_create("variables")
    try:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _dotenv(variables: Mapping[str, str]) -> str:
    """Returns variables in Compose's env format. Single quotes keep every character except the quote itself,
    a line feed and a backslash, which need double quotes.
    """
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(variables.items()))


def _quoted(value: str) -> str:
    if not set(value) & {"'", "\n", "\\"}:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'
