"""Names on the engine and the projects that they belong to. In: a name, the projects around. Out: its owner,
the grant that would allow it.

Compose joins project and name by `_` or `-`, and both may stand in a project's name too, so `shop_old_data`
may be of `shop` or of `shop_old`, and `shop-api-web-1` of `shop` or of `shop-api`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

Projects = Mapping[str, Collection[str]]  # project → its services; empty where they are not known

_RESERVED = ("deployer",)  # of the receiver's own container
_EDGE = "deployer-edge"
_LAST = r"(?:[0-9]+|pre-deploy|post-deploy|on-rollback|preflight)"
_SERVICE_OF = re.compile(rf"(?P<service>.+)[-_]{_LAST}")


def owner_of(name: str, projects: Collection[str]) -> str:
    """The project whose volumes or networks may be called `name`: the longest one that it begins with, empty
    where it begins with none.
    """
    return max((one for one in projects if name.startswith(f"{one}_")), key=len, default="")


def is_default(name: str, project: str, service: str) -> bool:
    """True if Compose or the deployer gives a container of the project's service this name."""
    return re.fullmatch(re.escape(f"{project}-{service}-") + _LAST, name) is not None


def container_name(name: str, project: str, projects: Projects) -> Iterator[str]:
    """A name that another project's next container may need: `PROJECT-SERVICE-NUMBER`, the same for a hook,
    what begins with `PROJECT.`, and the bare `PROJECT`, as many fixed names are, unless it begins with the
    own project's.
    """
    found = _SERVICE_OF.fullmatch
    taken = any(
        (match := found(rest)) is not None and _has(projects, other, match["service"], name, project)
        for other, rest in _behind(name, project, projects)
    )
    first = name.partition(".")[0]
    bare = first in projects.keys() - {project} and not (first == name and _begins(name, project))
    if name in _RESERVED or taken or bare:
        yield f"container_name:{name}"


def is_image_of_another(name: str, project: str, projects: Projects) -> bool:
    """True if Compose gives the image of another project's service this name: `PROJECT-SERVICE`."""
    return any(_has(projects, other, rest, name, project) for other, rest in _behind(name, project, projects))


def _behind(name: str, project: str, projects: Projects) -> Iterator[tuple[str, str]]:
    """Other projects that the name begins with, and the rest of it."""
    for other in projects:
        if other != project and _begins(name, other):
            yield other, name[len(other) + 1 :]


def _has(projects: Projects, other: str, service: str, name: str, project: str) -> bool:
    """True if the other project has the service. Where its services are not known, the longer of two
    projects that the name begins with has it.
    """
    if known := projects[other]:
        return service in known or service == _EDGE
    return len(other) > len(project) or not _begins(name, project)


def _begins(name: str, project: str) -> bool:
    return name.startswith((f"{project}-", f"{project}_"))
