"""Keeping exactly the rollback set. In: an app whose deployment is over. Out: older releases, their images
and files are gone.

Only images that the deployer pulled for its own releases are ever removed, and never one that something still
uses: the engine refuses that, and it is tried again after the next deployment. Trouble here costs disk only.
"""

from __future__ import annotations

import logging

from deployer.core.config.settings import App
from deployer.core.errors import DeployerError
from deployer.core.images import Image
from deployer.core.release.retention import kept_releases, unneeded
from deployer.deployment.context import World

_log = logging.getLogger("deployer.retention")


def prune(app: App, world: World) -> None:
    """Never raises an expected failure."""
    try:
        keep = {environment.name: environment.releases for environment in app.environments.values()}
        gone = world.store.keep_releases(app.name, lambda history: kept_releases(history, keep))
        # In this order: what another deployment pulls meanwhile belongs to a release that is read after it.
        pulled = world.store.pulled()
        releases = world.store.releases()  # of all apps: they may share images
        folders = world.target.keep_files([release.bundle for release in releases])
        removed = [image for image in unneeded(pulled, releases) if _remove(image, world)]
        if gone or removed or folders:
            _log.info(
                "%s: %d releases, %d images, %d folders were pruned", app.name, gone, len(removed), folders
            )
    except DeployerError as error:
        _log.error("%s could not be pruned: %s", app.name, error.diagnostics())


def _remove(image: Image, world: World) -> bool:
    if not world.target.forget_image(image):
        return False
    world.store.forget_pull(image)
    return True
