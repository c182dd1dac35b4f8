"""Retention of exactly the rollback set. In: an app with an ended deployment. Out: older releases, their
images and files removed.

Never removes an image unless the deployer pulled it for its own releases, and never one that is still in use:
the engine refuses that, and the next deployment's pruning tries again. A failure here costs disk space only.
"""

from __future__ import annotations

import logging

from deployer.core.config.settings import App
from deployer.core.errors import DeployerError
from deployer.core.images import Image
from deployer.core.release.retention import kept_releases, unneeded
from deployer.deployment.context import DeployContext

_log = logging.getLogger("deployer.retention")


def prune(app: App, context: DeployContext) -> None:
    """Removes the releases, images and files outside the rollback set. Logs an expected failure instead of
    raising it.
    """
    try:
        keep = {environment.name: environment.releases for environment in app.environments.values()}
        gone = context.store.keep_releases(app.name, lambda history: kept_releases(history, keep))
        # In this order: an image that another deployment pulls meanwhile belongs to a release read after it.
        pulled = context.store.pulled()
        releases = context.store.releases()  # of all apps: they may share images
        folders = context.target.keep_files([release.bundle for release in releases])
        removed = [image for image in unneeded(pulled, releases) if _remove(image, context)]
        if gone or removed or folders:
            _log.info(
                "%s: %d releases, %d images, %d folders were pruned", app.name, gone, len(removed), folders
            )
    except DeployerError as error:
        _log.error("%s could not be pruned: %s", app.name, error.diagnostics())


def _remove(image: Image, context: DeployContext) -> bool:
    if not context.target.forget_image(image):
        return False
    context.store.forget_pull(image)
    return True
