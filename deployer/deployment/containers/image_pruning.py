"""Removal of images and files that no release needs. In: the kept releases. Out: numbers of removed things.

Never removes an image unless the deployer pulled it for its own releases, and never one that is still in use:
the engine refuses that, and the next deployment's pruning tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployer.core.images import Image
from deployer.core.model import Release
from deployer.core.ports.target import Pruned
from deployer.core.release.retention import unneeded
from deployer.deployment.containers.container_context import ContainerContext


def prune_images(read_releases: Callable[[], Sequence[Release]], context: ContainerContext) -> Pruned:
    """Reads the pulled images first: an image that another deployment pulls meanwhile belongs to a release
    that is read after it.
    """
    pulled = context.store.images.pulled()
    releases = read_releases()  # of all apps: they may share images
    folders = context.host.files.keep_files([release.bundle for release in releases])
    removed = [image for image in unneeded(pulled, releases) if _remove(image, context)]
    return Pruned(len(removed), folders)


def _remove(image: Image, context: ContainerContext) -> bool:
    if not context.host.images.forget_image(image):
        return False
    context.store.images.forget_pull(image)
    return True
