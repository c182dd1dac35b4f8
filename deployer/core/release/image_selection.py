"""Image requirements of a release. In: a rendered Compose model and the request's images. Out: the image, or
the tag to resolve, of each service. Never asks a registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.build.service_builds import built_repositories, makers_of
from deployer.core.errors import ReleaseIncomplete
from deployer.core.images import Image, parse_image, revision_tag, split_tag


@dataclass(frozen=True)
class ImageRequirement:
    """Image requirement of one service: an image known by digest, or a tag to resolve. `makers`: the services
    whose build it may be, none if it is not built from the app's own source.
    """

    service: str
    image: Image | None
    repository: str = ""
    tag: str = ""
    makers: tuple[str, ...] = ()

    @property
    def built(self) -> bool:
        """True if it is built from the app's own source."""
        return bool(self.makers)


def wanted_images(
    rendered: Mapping[str, Any],
    given: Mapping[str, Image],
    *,
    revision: str,
    registry: str,
    source: str,
    compose: str,
) -> list[ImageRequirement]:
    """Returns the image requirement of every service. A given digest wins; a built service's image is found
    by its revision. `compose`: the Compose file's path in the repository.
    """
    tables: Mapping[str, Mapping[str, Any]] = rendered.get("services") or {}
    repositories = built_repositories(tables, registry=registry, source=source, compose=compose)
    makers = makers_of(tables, repositories)
    wanted = []
    for name, table in sorted(tables.items()):
        image = next((given[one] for one in (name, *makers.get(name, ())) if one in given), None)
        if name in makers:
            repository = "" if image else repositories[makers[name][0]]
            tag = "" if image else revision_tag(revision)
            wanted.append(ImageRequirement(name, image, repository, tag, makers[name]))
        else:
            wanted.append(ImageRequirement(name, image) if image else _of_other(name, table))
    return wanted


def _of_other(name: str, table: Mapping[str, Any]) -> ImageRequirement:
    reference = str(table.get("image") or "")
    if "@" in reference:
        return ImageRequirement(name, parse_image(reference))
    if not reference:
        raise ReleaseIncomplete(f"service {name} names neither an image nor a build")
    repository, tag = split_tag(reference)
    return ImageRequirement(name, None, repository, tag or "latest")
