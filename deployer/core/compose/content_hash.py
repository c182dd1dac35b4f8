"""Content hash of a replica's inputs, its spec. In: a service's model, the definitions it uses, the files it
mounts. Out: a short hash. Never reads a file.

Files count by content, not by path: a new bundle lies in a new folder, and a service must not be replaced
when its files are unchanged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from deployer.core.errors import ComposeRejected

_SHOWN = 16  # hex digits
_HINT = "single files that git tracks come along; folders and data need a volume or a path of the server"


@dataclass(frozen=True)
class Files:
    """Files of a bundle on the target: its folder, and absolute path → SHA-256 of the content."""

    folder: str
    digests: Mapping[str, str]

    def content(self, path: str) -> str:
        """Returns the text that represents a mounted path in the hash: the digests of its files inside the
        bundle, the path itself elsewhere on the host. Raises ComposeRejected for a path without files in the
        bundle.
        """
        if not self.folder or not self._is_ours(path):
            return path
        inside = sorted(item for item in self.digests.items() if f"{item[0]}/".startswith(f"{path}/"))
        if path == self.folder or not inside:
            name = path.removeprefix(f"{self.folder}/") if path != self.folder else "the repository's folder"
            raise ComposeRejected(f"{name} is mounted and did not come with the Compose file", hint=_HINT)
        return json.dumps([(name.removeprefix(path), digest) for name, digest in inside])

    def refuse_data(self, volume: Mapping[str, Any]) -> None:
        """Raises ComposeRejected for a writable mount of a bundle's folder: each release has a folder of its
        own, so written data would be lost.
        """
        source = str(volume.get("source", ""))
        if self._is_ours(source) and source not in self.digests and not volume.get("read_only"):
            name = source.removeprefix(f"{self.folder}/")
            raise ComposeRejected(f"{name} is mounted writable from the release's own files", hint=_HINT)

    def _is_ours(self, path: str) -> bool:
        """True if a path lies in the deployer's state folder."""
        return bool(self.folder) and PurePosixPath(path).is_relative_to(
            PurePosixPath(self.folder).parent.parent
        )


def spec_of(model: Mapping[str, Any], tops: Mapping[str, Any], files: Files) -> str:
    """Returns the spec of a service; equal content always gives an equal hash. Raises ComposeRejected for a
    mounted file that is not in the bundle.
    """
    binds = [volume for volume in model.get("volumes") or () if volume.get("type") == "bind"]
    mounts = [files.content(str(volume["source"])) for volume in binds]
    for volume in binds:
        files.refuse_data(volume)
    table = {**model, "volumes": [_without_source(volume) for volume in model.get("volumes") or ()]}
    named = {kind: _definitions(model.get(kind), tops.get(kind), files) for kind in ("configs", "secrets")}
    text = json.dumps([table, mounts, named, tops.get("networks")], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]


def bind_specs(own: str, others: Sequence[str]) -> str:
    """Returns the spec of a service that shares other services' namespaces or volumes: it changes when one of
    theirs does.
    """
    if not others:
        return own
    return hashlib.sha256(" ".join((own, *others)).encode()).hexdigest()[:_SHOWN]


def _without_source(volume: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in volume.items() if key != "source" or volume.get("type") != "bind"}


def _definitions(used: Any, defined: Any, files: Files) -> list[Any]:
    """Returns the configs or secrets that the service uses, each with its file's content."""
    names = [entry["source"] if isinstance(entry, Mapping) else str(entry) for entry in used or ()]
    found = [(name, (defined or {}).get(name) or {}) for name in names]
    return [[name, {**table, "file": files.content(str(table.get("file", "")))}] for name, table in found]
