"""Volumes without a name. In: a service of a rendered Compose model, paths. Out: those that hold data, and
those that hold none. Never touches one.

The engine makes a nameless volume for each container, where the Compose file gives a path alone or the image
declares VOLUME. Compose hands them on from a container to the next, so what an application keeps there stays.
Paths for passing files are no data: an old template for Java images declares `VOLUME /tmp`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from posixpath import normpath
from typing import Any

_PASSING = frozenset({"/tmp", "/var/tmp", "/run", "/var/run"})


def nameless_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of nameless volumes that hold data, of the file or, in a table completed by it, of the image."""
    volumes = [one for one in service.get("volumes") or () if one.get("type") == "volume"]
    paths = {normpath(one["target"]) for one in volumes if not one.get("source")}
    return tuple(sorted(paths - _PASSING))


def data_in(volumes: Mapping[str, str]) -> dict[str, str]:
    """Path → name of the volumes that hold data."""
    return {path: name for path, name in volumes.items() if path not in _PASSING}


def is_scratch(paths: Iterable[str]) -> bool:
    """Whether there are volumes and none of them holds data."""
    return bool(found := set(paths)) and found <= _PASSING
