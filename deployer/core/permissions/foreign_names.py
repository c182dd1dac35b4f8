"""Names on the engine and the projects that they belong to. In: a name, the other projects. Out: its owner,
the grant that would allow it.

Compose joins project and name by `_` or `-`, and a project's name may contain both, so `shop_old_data` may
belong to `shop` or to `shop_old`, and `shop-api-web-1` to `shop` or to `shop-api`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

Projects = Mapping[str, Collection[str]]  # project → its services; empty if they are not known

_RESERVED = ("deployer",)  # the receiver's own container
_EDGE = "deployer-edge"
_SUFFIX = r"(?:[0-9]+|pre-deploy|post-deploy|on-rollback|preflight)"
_SERVICE_OF = re.compile(rf"(?P<service>.+)[-_]{_SUFFIX}")


def owner_of(name: str, projects: Collection[str]) -> str:
    """Returns the project that owns the volume or network `name`: the longest one that the name begins with,
    empty without one.
    """
    return max((one for one in projects if name.startswith(f"{one}_")), key=len, default="")


def is_default(name: str, project: str, service: str) -> bool:
    """True if Compose or the deployer gives a container of the project's service this name."""
    return re.fullmatch(re.escape(f"{project}-{service}-") + _SUFFIX, name) is not None


def container_name(name: str, project: str, projects: Projects) -> Iterator[str]:
    """Yields the grant of a name that another project's next container may need: `PROJECT-SERVICE-NUMBER`,
    its form for a hook, names that begin with `PROJECT.`, and `PROJECT` itself, which is a usual fixed name,
    unless it begins with the own project's name.
    """
    found = _SERVICE_OF.fullmatch
    taken = any(
        (match := found(rest)) is not None and _has_service(projects, other, match["service"], name, project)
        for other, rest in _other_projects(name, project, projects)
    )
    first = name.partition(".")[0]
    bare = first in projects.keys() - {project} and not (
        first == name and _begins_with_project(name, project)
    )
    if name in _RESERVED or taken or bare:
        yield f"container_name:{name}"


def is_image_of_another(name: str, project: str, projects: Projects) -> bool:
    """True if Compose gives the image of another project's service this name: `PROJECT-SERVICE`."""
    return any(
        _has_service(projects, other, rest, name, project)
        for other, rest in _other_projects(name, project, projects)
    )


def _other_projects(name: str, project: str, projects: Projects) -> Iterator[tuple[str, str]]:
    """Yields other projects that the name begins with, and the rest of the name."""
    for other in projects:
        if other != project and _begins_with_project(name, other):
            yield other, name[len(other) + 1 :]


def _has_service(projects: Projects, other: str, service: str, name: str, project: str) -> bool:
    """True if the other project has the service. If its services are not known, the longer of two projects
    that the name begins with counts as its owner.
    """
    if known := projects[other]:
        return service in known or service == _EDGE
    return len(other) > len(project) or not _begins_with_project(name, project)


def _begins_with_project(name: str, project: str) -> bool:
    return name.startswith((f"{project}-", f"{project}_"))
