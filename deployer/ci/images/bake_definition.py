"""Build definition for bake. In: the Compose file, the file with the build's variables. Out: model, bake's
definition.

Compose fills the variables in. Variables of the build's file that a Dockerfile declares by ARG become
arguments of its build, even if the Compose file does not name them. A value among them that looks like a
secret ends the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.ci import run_state
from deployer.ci.github.inputs import input_text
from deployer.ci.images import docker_cli
from deployer.core.build.build_args import declared_in, find_secrets, lines_of, parse_names
from deployer.core.errors import ConfigError, DeployerError
from deployer.core.variables.committed import OWN_VARIABLES, PRODUCTION_VARIABLES
from deployer.core.variables.dotenv import NotDotenv, read_dotenv


class SecretInBuild(DeployerError):
    """A build argument looks like a secret, and any user who pulls the image could read it."""

    code = "secret-in-build"


@dataclass(frozen=True)
class Definition:
    """The rendered Compose model, and the file that bake reads."""

    model: Mapping[str, Any]
    file: Path


def read_definition(workspace: Path, path: str) -> Definition:
    """Renders the Compose file into bake's definition. Raises ComposeRejected, ConfigError, SecretInBuild."""
    folder = (workspace / path).parent
    variables = _variables_file(workspace, folder)
    _save_variables(variables or folder / OWN_VARIABLES)
    text = variables.read_text(encoding="utf-8", errors="replace") if variables else ""
    lines = lines_of(text)
    _refuse_secrets(lines, str(variables and variables.relative_to(workspace)))
    definition = _render([workspace / path], variables)
    wanted = _undeclared(definition.model["services"], frozenset(lines))
    if wanted:
        more = {
            "services": {name: {"build": {"args": dict.fromkeys(names)}} for name, names in wanted.items()}
        }
        definition = _render([workspace / path, run_state.save("arguments", more)], variables)
    for name, service in definition.model["services"].items():
        arguments = (service.get("build") or {}).get("args") or {}
        _refuse_secrets({key: str(value or "") for key, value in arguments.items()}, f"service {name}")
    return definition


def allowed_arguments() -> frozenset[str]:
    """Returns the arguments that may look like secrets."""
    try:
        return parse_names(input_text("allow-build-args"))
    except ValueError as error:
        raise ConfigError("allow-build-args", f"{str(error)!r} is not a variable's name") from None


def _variables_file(workspace: Path, folder: Path) -> Path | None:
    named = input_text("build-env-file")
    if not named:
        file = folder / PRODUCTION_VARIABLES
        return file if file.is_file() else None
    file = workspace / os.path.normpath(named)
    if not file.is_file() or not file.resolve().is_relative_to(workspace.resolve()):
        raise ConfigError("build-env-file", f"{named!r} is not a file of the repository")
    return file


def _save_variables(file: Path) -> None:
    """Saves the variables that the rendering takes from its file, for the deploy request. Raises ConfigError
    with the faulty line.
    """
    found: dict[str, str] = {}
    if file.is_file():
        try:
            found = read_dotenv(file.read_text(encoding="utf-8", errors="replace"), os.environ).variables
        except NotDotenv as error:
            raise ConfigError(f"{file.name}:{error.line}", str(error), hint=error.hint) from None
    run_state.save("file_variables", found)


def _refuse_secrets(arguments: Mapping[str, str], place: str) -> None:
    found = find_secrets(arguments, allowed_arguments())
    if found:
        lines = (f"{name} {reason}" for name, reason in sorted(found.items()))
        raise SecretInBuild(
            f"{place}: {'; '.join(lines)}: any user who pulls the image could read it",
            hint="give it to the container on the server instead, or to the build as a build secret;"
            " where it is meant to be public, name it in the input allow-build-args",
        )


def _render(files: list[Path], variables: Path | None) -> Definition:
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda form: docker_cli.render(files, variables, form=form), ("json", "yaml"))
        model, definition = texts
    rendered = json.loads(model)
    run_state.save("model", rendered)
    # Bake reads Compose's rendering, so that both see the same values; only YAML keeps `x-bake`.
    return Definition(rendered, run_state.save_text("bake.yaml", definition))


def _undeclared(services: Mapping[str, Any], names: frozenset[str]) -> dict[str, frozenset[str]]:
    """Returns service → variables that its Dockerfile declares and its Compose entry does not name."""
    found = {}
    for name, service in services.items():
        build = service.get("build")
        if build and names:
            missing = (declared_in(_dockerfile(build)) & names) - set(build.get("args") or {})
            found.update({name: missing} if missing else {})
    return found


def _dockerfile(build: Mapping[str, Any]) -> str:
    if build.get("dockerfile_inline"):
        return str(build["dockerfile_inline"])
    path = Path(build.get("context") or ".") / (build.get("dockerfile") or "Dockerfile")
    try:  # a link may lead to a device that never ends
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""  # bake reports it with a better message
