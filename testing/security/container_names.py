"""Container names that another project needs, for the judge of generated requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from testing.security.value_parts import PROJECT


def powers_of_name(name: str, neighbours: Iterable[str]) -> Iterator[str]:
    """Yields a power for the receiver's name, and for a name that another project's next container may
    need.
    """
    if name == "deployer" or any(_needs(other, name) for other in neighbours):
        yield f"name {name}"


def _needs(project: str, name: str) -> bool:
    """True if a project needs the name: Compose's pattern `PROJECT-SERVICE-NUMBER`, older Compose's `_`, or a
    hook's name.
    """
    last = "[0-9]+|pre-deploy|post-deploy|on-rollback|preflight"
    formed = re.fullmatch(rf"{re.escape(project)}[-_].+[-_](?:{last})", name)
    bare = name == project and not name.startswith((f"{PROJECT}-", f"{PROJECT}_"))
    return formed is not None or bare or name.startswith(f"{project}.")
