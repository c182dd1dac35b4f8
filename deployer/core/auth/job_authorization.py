"""Re-authorisation of a job by the worker. In: a claimed job, a release, the settings. Out: nothing, or
Forbidden.

When the receiver is two processes, the one that the internet reaches writes the queue. The worker repeats
that process's decision from its own settings, as far as a row can show it: a forged row deploys no image from
elsewhere and gives no app another one's release. In one process the check costs nothing and guards against a
database that was changed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.core.auth.authorization import check_images, pattern
from deployer.core.config.settings import App
from deployer.core.errors import Forbidden, NotFound
from deployer.core.images import REVISION, Image, split_host
from deployer.core.model import DeployJob, Kind, Release
from deployer.core.release.image_selection import ImageRequirement

_HINT = "the receiver never queues such a job: check which accounts can write to the database"


def judge_job(job: DeployJob, app: App) -> None:
    """Raises Forbidden for a job that the receiver would not have queued, NotFound for an environment that is
    not configured.
    """
    app.environment(job.environment)
    # A deploy gets a release's id when it is resolved, so that it can resume after a killed server.
    if job.kind is not Kind.DEPLOY and not job.release:
        raise Forbidden(f"a {job.kind} without a release's id", hint=_HINT)
    if job.kind is Kind.DEPLOY and not REVISION.fullmatch(job.revision):
        raise Forbidden("a deploy without a full commit id", hint=_HINT)
    check_images(app, job.images or {})


def judge_release(release: Release, app: str) -> None:
    """Raises NotFound for another app's release, with the same text as for a release that does not exist."""
    if release.app != app:
        raise no_release(app, release.id)


def no_release(app: str, id: str) -> NotFound:
    """Returns the one error for a release that never existed, is another app's, or is no longer kept."""
    hint = "only the `releases` newest of those that served are kept; `deployer history` shows them"
    return NotFound(f"{app} has no release {id}", hint=hint)


def judge_images(app: App, wanted: Sequence[ImageRequirement], images: Mapping[str, Image]) -> None:
    """Raises Forbidden for the first image, by service, that comes from a repository outside the settings."""
    check_images(app, {want.service: images[want.service] for want in wanted if want.built})
    if app.other_images:
        for want in wanted:
            if not want.built:
                _check_other(app, want.service, images[want.service])


def _check_other(app: App, service: str, image: Image) -> None:
    repository = "/".join(split_host(image.repository))
    if not any(pattern(text).fullmatch(repository) for text in (*app.other_images, *app.images)):
        raise Forbidden(
            f"service {service}: {repository} is not an image repository that {app.name} may use",
            hint=f"apps.{app.name}.other-images allows {', '.join(app.other_images)}",
        )
