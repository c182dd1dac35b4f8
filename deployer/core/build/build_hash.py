"""Hash of an image's build inputs. In: bake's definition of a target, the files of its contexts. Out: a tree.

Two builds with the same tree get the same files, Dockerfile, arguments, stage and platform. Files that a
build fetches by itself (a base image's tag, an `ADD` of a URL) are not included; a scheduled run rebuilds for
that. Build secrets are not included either: a tree is a public tag.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Table = Mapping[str, Any]

TREE, TESTED = "tree-", "tested-"
# Raise it whenever the same parts must give other hashes than before.
_EDITION = 1
# Destination and caches do not change the result; paths of files are replaced by their contents.
_LEFT_OUT = frozenset(
    {
        "context",
        "contexts",
        "dockerfile",
        "tags",
        "output",
        "cache-from",
        "cache-to",
        "no-cache",
        "pull",
        "secret",
    }
)
_OUR_LABELS = frozenset(f"org.opencontainers.image.{name}" for name in ("created", "revision", "source"))
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@|github\.com/", re.IGNORECASE)
_IMAGE, _TARGET = "docker-image://", "target:"
_SECRET_ID = re.compile(r"(?:^|,)id=([^,]*)")


@dataclass(frozen=True)
class Places:
    """Folders of a target's files, by the name that a Dockerfile knows them under (empty for the context)."""

    folders: Mapping[str, str]
    dockerfile: str  # empty if the definition itself holds it
    targets: Mapping[str, str]  # contexts that are other targets


def find_places(target: Table) -> Places | None:
    """Returns all folders that must be read; None if one of them is not on this machine."""
    context, dockerfile = str(target.get("context") or "."), str(target.get("dockerfile") or "Dockerfile")
    named = {name: str(place) for name, place in (target.get("contexts") or {}).items()}
    folders, targets = {"": context}, {}
    for name, place in named.items():
        if place.startswith(_TARGET):
            targets[name] = place.removeprefix(_TARGET)
        elif not place.startswith(_IMAGE):
            folders[name] = place
    if any(_REMOTE.match(place) or place == "-" for place in folders.values()):
        return None
    return Places(folders, "" if target.get("dockerfile-inline") else dockerfile, targets)


def hash_tree(target: Table, contents: Mapping[str, str], dockerfile: str) -> str:
    """Returns 64 hex digits. `contents`: context's name → hash of its files; `dockerfile`: hash
    of its text.
    """
    images = {name: place for name, place in (target.get("contexts") or {}).items() if name not in contents}
    settings = {key: value for key, value in target.items() if key not in _LEFT_OUT}
    settings["labels"] = {k: v for k, v in (target.get("labels") or {}).items() if k not in _OUR_LABELS}
    parts = {
        "edition": _EDITION,
        "settings": settings,
        "secrets": sorted(_secret_id(secret) for secret in target.get("secret") or ()),
        "images": images,
        "contents": dict(contents),
        "dockerfile": dockerfile,
    }
    return hash_value(parts)


def _secret_id(secret: object) -> str:
    if isinstance(secret, Mapping):
        return str(secret.get("id", ""))
    found = _SECRET_ID.search(str(secret))
    return found.group(1) if found else ""


def hash_value(value: object) -> str:
    """Returns the hash of plain values, the same for the same values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
