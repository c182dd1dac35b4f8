"""What a replica is made from, as one short hash. In: a service's model, the definitions it names, the files
it mounts.

Files count by content, not by path: a new bundle lies in a new folder, and a service whose files are the same
must not be replaced for that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import ComposeRejected

_SHOWN = 16  # hex digits


@dataclass(frozen=True)
class Files:
    """The bundle as it lies on the target: its folder, and absolute path → SHA-256 of the content."""

    folder: str
    digests: Mapping[str, str]

    def content(self, path: str) -> str:
        """What a path stands for: its files' digests inside the bundle, the path itself elsewhere on the
        host.
        """
        if not self.folder or not path.startswith(f"{self.folder}/"):
            return path
        inside = sorted(item for item in self.digests.items() if f"{item[0]}/".startswith(f"{path}/"))
        if not inside:
            name = path.removeprefix(f"{self.folder}/")
            raise ComposeRejected(
                f"{name} is mounted and did not come with the Compose file",
                hint="single files that git tracks come along; folders and data need a volume",
            )
        return json.dumps([(name.removeprefix(path), digest) for name, digest in inside])


def spec_of(model: Mapping[str, Any], tops: Mapping[str, Any], files: Files) -> str:
    """The same content always gives the same hash. Raises ComposeRejected for a mounted file that is not
    there.
    """
    mounts = [files.content(str(source)) for source in _binds(model)]
    table = {**model, "volumes": [_without_source(volume) for volume in model.get("volumes") or ()]}
    named = {kind: _definitions(model.get(kind), tops.get(kind), files) for kind in ("configs", "secrets")}
    text = json.dumps([table, mounts, named, tops.get("networks")], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]


def _binds(model: Mapping[str, Any]) -> Iterator[str]:
    return (volume["source"] for volume in model.get("volumes") or () if volume.get("type") == "bind")


def _without_source(volume: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in volume.items() if key != "source" or volume.get("type") != "bind"}


def _definitions(used: Any, defined: Any, files: Files) -> list[Any]:
    """The configs or secrets that the service uses, each with what its file holds."""
    names = [entry["source"] if isinstance(entry, Mapping) else str(entry) for entry in used or ()]
    found = [(name, (defined or {}).get(name) or {}) for name in names]
    return [[name, {**table, "file": files.content(str(table.get("file", "")))}] for name, table in found]
