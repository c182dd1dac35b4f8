"""Image tags for persons. In: a ref, the default branch. Out: tags that a registry accepts and no two
branches share.

`sha-<revision>`, `tree-<hash>` and `tested-<hash>` are machines' tags: no branch and no version can have one.
https://semver.org; a tag's grammar: https://github.com/distribution/reference
"""

from __future__ import annotations

import hashlib
import re

from deployer.core.images import is_tag
from deployer.core.refs import HEADS, TAGS

LATEST = "latest"
_HASH = 12
_LONGEST = 128
# Names with another meaning as a tag, among them all that could equal another name with its hash.
_TAKEN = re.compile(rf"latest|(?:sha|tree|tested)-.*|v?\d+(?:\.\d+)*(?:-.*)?|.*-[0-9a-f]{{{_HASH}}}")
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_VERSION = re.compile(
    r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII
)


def tags_of(ref: str, default_branch: str) -> tuple[str, ...]:
    """Returns the tags that move to an image built for `ref`; none if it is neither a branch nor a tag."""
    if ref.startswith(TAGS):
        name = ref.removeprefix(TAGS)
        return versions_of(name) or (_hashed(name, ref),)
    if not ref.startswith(HEADS):
        return ()
    branch = ref.removeprefix(HEADS)
    return (slug(branch), LATEST) if branch == default_branch else (slug(branch),)


def versions_of(name: str) -> tuple[str, ...]:
    """Returns a version's tags: `v1.2.3` → `1.2.3`, `1.2`; a pre-release only itself, a name that is no
    version none.
    """
    found = _VERSION.fullmatch(name)
    if found is None:
        return ()
    major, minor, patch, pre = found.groups()
    whole = f"{major}.{minor}.{patch}{pre or ''}"
    if not is_tag(whole):
        return ()
    return (whole,) if pre else (whole, f"{major}.{minor}")


def slug(name: str) -> str:
    """Returns the name itself if it is a valid tag without another meaning, else its valid characters and its
    hash.
    """
    if is_tag(name) and not _TAKEN.fullmatch(name):
        return name
    return _hashed(name, name)


def _hashed(name: str, whole: str) -> str:
    """Returns the name's valid characters and the hash of the whole ref: a git tag differs from a branch of
    its name.
    """
    digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH]
    kept = _ODD.sub("-", name).strip("-.")[: _LONGEST - _HASH - 1].rstrip("-.")
    return f"{kept or 'ref'}-{digest}"
