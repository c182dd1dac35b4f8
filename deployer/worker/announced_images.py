"""Image announcements: does the announced image complete a release? In: the deploy jobs of an announcement.
Out: one complete deploy job, or the reason why there is none.

Images arrive one by one, from any branch, in any order, and repeatedly. So only the newest commit of the
environment's branch is a release here, and only after the registry has every image of it. The images found
are deployed by digest, so that nothing is looked up twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from deployer.core.errors import (
    ComposeRejected,
    GitHubUnavailable,
    ImageNotFound,
    ImageOfAnother,
    ImageUnproven,
    RegistryRefused,
    ReleaseIncomplete,
)
from deployer.core.model import DeployJob
from deployer.core.redaction import redact, redact_secrets
from deployer.core.refs import matches
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_assembly import complete, variables_of

_AT_ONCE = threading.BoundedSemaphore(4)  # a lookup asks GitHub and a registry and holds a receiver thread
_PATIENCE = 5.0


def resolve_announcement(jobs: Sequence[DeployJob], context: DeployContext) -> DeployJob | str:
    """Returns the deploy job that an announced image completes, or the reason why there is none. Raises
    GitHubUnavailable or RegistryUnavailable, so that GitHub shows the delivery as failed.
    """
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        raise GitHubUnavailable("too many images are being looked up", hint="redeliver it later")
    try:
        return _resolve(jobs, context)
    finally:
        _AT_ONCE.release()


def _resolve(jobs: Sequence[DeployJob], context: DeployContext) -> DeployJob | str:
    newest = [found for job in jobs if (found := _newest(job, context))]
    if not newest:
        return f"{jobs[0].revision[:7]} is not the newest commit of a branch that is deployed"
    if len(newest) > 1:
        names = ", ".join(f"{job.app}/{job.environment}" for job in newest)
        return f"the image fits {names}: set `images` so that it fits one app, or `packages` for one"
    job = newest[0]
    app = context.config.app(job.app)
    environment = app.environment(job.environment)
    try:
        bundle = job.bundle or context.github.read_bundle(app.repository, job.revision, environment.compose)
        job = replace(job, bundle=bundle)
        release = complete(job, app, environment, context)
    except (ImageUnproven, ImageOfAnother, RegistryRefused) as error:
        return f"{error}: {error.hint}"
    except (ImageNotFound, ReleaseIncomplete, ComposeRejected) as error:
        # Compose's messages may quote them, if it was asked.
        variables = variables_of(job, environment, context, job.bundle) if job.bundle else {}
        return f"the release is incomplete: {redact_secrets(redact(str(error), variables), variables)}"
    return replace(job, images=release.images, bundle=release.bundle)


def _newest(job: DeployJob, context: DeployContext) -> DeployJob | None:
    """Returns the deploy job, with its branch, if its commit is the newest one of a branch that the
    environment accepts.
    """
    app = context.config.app(job.app)
    setting = app.environment(job.environment).branch
    if "*" not in setting:
        return job if context.github.tip(app.repository, setting) == job.revision else None
    names = context.github.branches_at(app.repository, job.revision)
    return next((replace(job, branch=name) for name in names if matches(setting, name)), None)
