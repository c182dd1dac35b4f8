"""Names of containers that another project needs, for the judge of generated requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from testing.security.value_parts import PROJECT


def powers_of_name(name: str, neighbours: Iterable[str]) -> Iterator[str]:
    """A container that takes the receiver's name or one that another project's next container may need."""
    if name == "deployer" or any(_needs(other, name) for other in neighbours):
        yield f"name {name}"


def _needs(project: str, name: str) -> bool:
    """By Compose's pattern `PROJECT-SERVICE-NUMBER`, with older Compose's `_`, or a name of a hook."""
    last = "[0-9]+|pre-deploy|post-deploy|on-rollback|preflight"
    formed = re.fullmatch(rf"{re.escape(project)}[-_].+[-_](?:{last})", name)
    bare = name == project and not name.startswith((f"{PROJECT}-", f"{PROJECT}_"))
    return formed is not None or bare or name.startswith(f"{project}.")
