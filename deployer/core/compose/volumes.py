"""Volumes without a name. In: a service of a rendered Compose model, paths. Out: the volumes that hold data,
and those that hold none. Never touches one.

The engine makes a nameless volume for each container, where the Compose file gives a path alone or the image
declares VOLUME. Compose hands them on from a container to the next, so an application's data there stays.
Paths for temporary files are no data: an old template for Java images declares `VOLUME /tmp`. Beside data
they are handed on with it, so that nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from posixpath import normpath
from typing import Any

_PASSING = frozenset({"/tmp", "/var/tmp", "/run", "/var/run"})


def nameless_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the paths of nameless volumes, of the file or, in a table completed by the image, of the image;
    empty where none of them holds data.
    """
    volumes = [one for one in service.get("volumes") or () if one.get("type") == "volume"]
    paths = {normpath(one["target"]) for one in volumes if not one.get("source")}
    return () if paths <= _PASSING else tuple(sorted(paths))


def data_in(volumes: Mapping[str, str]) -> dict[str, str]:
    """Returns path → name of the volumes to hand on: all of them where one holds data."""
    return {} if volumes.keys() <= _PASSING else dict(volumes)


def is_scratch(paths: Iterable[str]) -> bool:
    """True if there are volumes and none of them holds data."""
    return bool(found := set(paths)) and found <= _PASSING


def tell_mounts(before: Collection[str], nameless: Collection[str], written: Collection[str]) -> str:
    """Returns the plan's note on mounts: the fate of the volumes at the paths `before`, where the new release
    has `nameless` ones, and the repository's files with a writable mount in the file (`written`).
    """
    told = ""
    if handed := " ".join(sorted(set(before) & set(nameless))):
        told += f"; volume {handed} is handed on"
    if left := " ".join(sorted(set(before) - set(nameless))):
        told += f"; volume {left} is kept aside: this release has none there"
    if files := " ".join(written):
        told += f"; {files} is mounted read-only: it is the repository's"
    return told
