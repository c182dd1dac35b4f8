"""Variables that a repository's files give. In: a release's files, what the request gives. Out: name → value.

Compose reads the `.env` beside its file without being told. Where the repository keeps a `.env.production`
there, the action renders with that one instead, and so does the server.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle
from deployer.core.names import STEERING
from deployer.core.variables.dotenv import NotDotenv, read_dotenv
from deployer.core.variables.interpolation import missing_variables

PRODUCTION_VARIABLES, OWN_VARIABLES = ".env.production", ".env"
VARIABLES_FILES = (PRODUCTION_VARIABLES, OWN_VARIABLES)
_PROFILES = "COMPOSE_PROFILES"  # chooses services, as the file itself could


def committed_variables(bundle: Bundle, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the repository's own file. `given` may be named in its values. Raises
    ComposeRejected with the faulty line.
    """
    folder = posixpath.dirname(bundle.entry)
    for path in (posixpath.join(folder, name) for name in VARIABLES_FILES):
        if path in bundle.files:
            try:
                found = read_dotenv(bundle.files[path], given).variables
            except NotDotenv as error:
                raise ComposeRejected(f"{path}:{error.line}: {error}", hint=error.hint) from None
            return {name: value for name, value in found.items() if name == _PROFILES or not _steers(name)}
    return {}


def _steers(name: str) -> bool:
    return name.upper().startswith(STEERING)


def blank_names(
    bundle: Bundle, variables: Mapping[str, str], document: Mapping[str, Any], folder: str
) -> list[str]:
    """Returns the sorted names that a release's files ask for and nobody gives. `document` is the model as
    rendered from `folder`: a file that it mounts is data, whatever is in it.
    """
    services: Mapping[str, Mapping[str, Any]] = document.get("services") or {}
    data = {path.removeprefix(f"{folder}/") for path in _mounted(document)}
    read = {path: text for path, text in bundle.files.items() if not _within(path, data)}
    passed = {
        name
        for service in services.values()
        for name, value in (service.get("environment") or {}).items()
        if value is None
    }
    return sorted(passed | set(missing_variables(read, variables)))


def _mounted(document: Mapping[str, Any]) -> Iterable[str]:
    for service in (document.get("services") or {}).values():
        yield from (str(volume.get("source", "")) for volume in service.get("volumes") or ())
    for kind in ("configs", "secrets"):
        yield from (str((table or {}).get("file", "")) for table in (document.get(kind) or {}).values())


def _within(path: str, places: Iterable[str]) -> bool:
    return any(f"{path}/".startswith(f"{place}/") for place in places if place)


def told_blank(names: Iterable[str]) -> str:
    """Returns the notice about names without a value; empty for none."""
    listed = ", ".join(names)
    return f"blank, as nobody gives them a value: {listed}" if listed else ""
