"""Retention for rollbacks, and disk space for new images. In: past deployments, images, sizes. Out: the
removable images; `DiskFull`. Never removes anything.

Exactly the rollback set stays: the newest releases that served in each environment, and everything that an
unfinished deployment needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from deployer.core.errors import DiskFull
from deployer.core.images import Image
from deployer.core.model import Deployment, Release, Status

_UNPACKED = 3  # bytes on the disk for each byte of a compressed layer, with room for both at once
_MARGIN = 64_000_000


def kept_releases(newest_first: Iterable[Deployment], keep: Mapping[str, int]) -> frozenset[str]:
    """Returns the ids of one app's releases that stay; `keep`: environment → number."""
    kept: dict[str, dict[str, None]] = {}
    needed: set[str] = set()
    for deployment in newest_first:
        mine = kept.setdefault(deployment.environment, {})
        if not deployment.status.final:
            needed.add(deployment.release)
        elif deployment.status is Status.SUCCESS and len(mine) < keep.get(deployment.environment, 0):
            mine[deployment.release] = None
    return frozenset(needed.union(*kept.values()))


def unneeded(pulled: Iterable[Image], kept: Iterable[Release]) -> tuple[Image, ...]:
    """Returns the images that the deployer pulled for releases and that no kept release has."""
    needed = {image for release in kept for image in release.images.values()}
    return tuple(image for image in pulled if image not in needed)


def bytes_needed(layers: Mapping[str, int], present: Collection[str]) -> int:
    """Returns the unpacked size of the layers (digest → compressed size) that are not present."""
    return _UNPACKED * sum(size for digest, size in layers.items() if digest not in present)


def judge_space(needed: int, free: int) -> None:
    """Raises DiskFull."""
    if needed and needed + _MARGIN > free:
        raise DiskFull(
            f"images need about {needed / 1e6:,.0f} MB on the engine's disk, {free / 1e6:,.0f} MB are free",
            hint="make room (`docker system df` shows what takes it), or lower the setting `releases`",
        )
