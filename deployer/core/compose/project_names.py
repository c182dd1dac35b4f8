"""Project names of Compose: the name that a repository's files give, and the name under which the engine has
data. In: a release's files and variables, projects that the engine knows. Out: a note for the plan, or
OtherProject.

A first deploy under another project name than the one that `docker compose up` used starts on empty volumes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import ComposeRejected, OtherProject
from deployer.core.model import Bundle, ObservedState
from deployer.core.variables.dotenv import NotDotenv, read_dotenv

_VARIABLE = "COMPOSE_PROJECT_NAME"
_NAME = re.compile(r"^name:[ \t]+(?P<text>[^#\n]*)", re.MULTILINE)
_PLACE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<bare>\w+))")


@dataclass(frozen=True)
class ComposeProject:
    """A Compose project according to the engine's labels."""

    name: str
    services: frozenset[str] = frozenset()  # of its containers, running or not
    volumes: frozenset[str] = frozenset()  # keys in the Compose file


def own_project(bundle: Bundle, variables: Mapping[str, str]) -> str:
    """Returns the project name that `docker compose` would take from the files and variables; empty where
    they determine none.
    """
    folder = posixpath.dirname(bundle.entry)
    committed = bundle.files.get(posixpath.join(folder, ".env"), "")
    known = {**_read(committed, variables), **variables}
    if _VARIABLE in known:
        return known[_VARIABLE]
    found = _NAME.search(bundle.files.get(bundle.entry, ""))
    return _filled(_plain(found["text"]), known) if found else ""


def _read(committed: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of a committed `.env`; none if Compose could not read it."""
    try:
        return read_dotenv(committed, variables).variables
    except NotDotenv:
        return {}


def judge_project(
    rendered: Mapping[str, Any],
    own: str,
    project: str,
    known: Mapping[str, ComposeProject],
    *,
    others: Collection[str],
    table: str,
) -> str:
    """Returns the plan's note about other project names at a first deploy to `project`; empty if there are
    none. `own` is the files' name, `others` are projects of other environments, `table` is the environment's
    table in the settings. Raises OtherProject where data lies under the files' own name.
    """
    declared = frozenset(_declared(rendered, project))
    if own and own != project:
        return _judge_own(own, project, known.get(own), others, table)
    if project in known and known[project].volumes & declared:
        return ""
    foreign = (one for one in known.values() if one.name not in (*others, project))
    alike = [one for one in foreign if _is_alike(one, rendered, declared)]
    if len(alike) != 1:
        return ""
    return (
        f"project {alike[0].name} has volumes of the same names here ({', '.join(sorted(declared))});"
        f" this deploy starts on empty ones of project {project}."
        f' To go on with that data, write project = "{alike[0].name}" under {table}'
    )


def _judge_own(
    own: str, project: str, found: ComposeProject | None, others: Collection[str], table: str
) -> str:
    if found is None or own in others:
        return f"the Compose file's own project name is {own}; this environment's project is {project}"
    data = f"volumes {', '.join(sorted(found.volumes))}" if found.volumes else "containers"
    raise OtherProject(
        f"the Compose file's own project is {own}, which has {data} here; as project {project} the release"
        " would start without them",
        hint=f'write project = "{own}" under {table}; to leave that data where it is, give `name:`'
        f" in the file (or {_VARIABLE}) the value {project}",
    )


def _declared(rendered: Mapping[str, Any], project: str) -> Iterator[str]:
    """Yields the volumes that get the project's prefix on the engine."""
    for key, volume in (rendered.get("volumes") or {}).items():
        settings = volume or {}
        if not settings.get("external") and settings.get("name", f"{project}_{key}") == f"{project}_{key}":
            yield str(key)


def _is_alike(one: ComposeProject, rendered: Mapping[str, Any], declared: frozenset[str]) -> bool:
    """True if the project has every declared volume and, where its containers exist, ran one of the same
    services.
    """
    services = set(rendered.get("services") or {})
    return bool(declared) and declared <= one.volumes and (not one.services or bool(one.services & services))


def _plain(text: str) -> str:
    return text.strip().strip("\"'")


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return variables.get(match["braced"] or match["bare"]) or match["default"] or ""

    return _PLACE.sub(value, text)


def refuse_foreign(project: str, observed: ObservedState) -> None:
    """Raises ComposeRejected while a project that was never deployed runs containers: the deployer does not
    own them, and they hold their ports. In a deployed project, containers that were started by hand are
    replaced.
    """
    names = [replica.name for replica in observed.replicas if replica.running and not replica.spec]
    if names:
        raise ComposeRejected(
            f"project {project} already runs {', '.join(names)}, which this deployer did not start",
            hint=f"stop them once with `docker compose -p {project} down`, then deploy again",
        )
