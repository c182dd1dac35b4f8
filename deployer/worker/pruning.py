"""Retention of exactly the rollback set. In: an app with an ended deployment. Out: older releases, their
images and files removed. A failure here costs disk space only.
"""

from __future__ import annotations

import logging

from deployer.core.config.settings import App
from deployer.core.errors import DeployerError
from deployer.core.release.retention import kept_releases
from deployer.deployment.context import DeployContext

_log = logging.getLogger("deployer.retention")


def prune(app: App, context: DeployContext) -> None:
    """Removes the releases, images and files outside the rollback set. Logs an expected failure instead of
    raising it.
    """
    try:
        keep = {environment.name: environment.releases for environment in app.environments.values()}
        gone = context.store.releases.keep(app.name, lambda history: kept_releases(history, keep))
        pruned = context.target.prune(context.store.releases.all)  # of all apps: they may share images
        if gone or pruned.images or pruned.folders:
            _log.info(
                "%s: %d releases, %d images, %d folders were pruned",
                app.name,
                gone,
                pruned.images,
                pruned.folders,
            )
    except DeployerError as error:
        _log.error("%s could not be pruned: %s", app.name, error.diagnostics())
