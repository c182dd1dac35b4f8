"""Resolution of the release that a deploy job asks for. In: a job. Out: a stored release that lacks nothing.

Touches nothing on the target.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from deployer.core.auth.job_authorization import judge_job, judge_release
from deployer.core.config.settings import App
from deployer.core.model import DeployJob, Deployment, EventKind, Kind, Release, Trigger
from deployer.deployment.context import DeployContext
from deployer.deployment.journal import DeploymentJournal
from deployer.deployment.release.branch_check import check_branch
from deployer.deployment.release.release_assembly import (
    changed_names,
    complete,
    variables_of,
    with_present_variables,
)
from deployer.deployment.release.release_images import keep_proof


def resolve_release(
    deployment: Deployment, job: DeployJob, app: App, context: DeployContext, journal: DeploymentJournal
) -> Release:
    """Raises Forbidden for a job that the settings do not allow, ReleaseIncomplete, ImageNotFound or
    RegistryUnavailable. The journal hides the release's variables from here on.
    """
    judge_job(job, app)
    resolve = _stored if job.release else _new
    release = resolve(deployment, job, app, context, journal)
    journal.hide(release.variables)
    return release


def _stored(
    deployment: Deployment, job: DeployJob, app: App, context: DeployContext, journal: DeploymentJournal
) -> Release:
    """A rollback brings a release back as it was, a redeploy with what the server's file says now."""
    release = context.store.releases.get(job.release)
    judge_release(release, app.name)
    journal.hide(release.variables)
    if job.kind is not Kind.REDEPLOY:
        return release
    present = with_present_variables(release, app.environment(deployment.environment), context)
    if present is release:
        return release
    journal.hide(present.variables)
    saved = context.store.releases.save(deployment.id, present, context.clock.now())
    changed = ", ".join(changed_names(release, saved))
    journal.record(EventKind.RESOLVE, f"release {saved.id}: {release.id} with changed variables: {changed}")
    return saved


def _new(
    deployment: Deployment, job: DeployJob, app: App, context: DeployContext, journal: DeploymentJournal
) -> Release:
    environment = app.environment(deployment.environment)
    if job.trigger is Trigger.WEBHOOK:
        check_branch(job, app, environment, context.github)
    if job.bundle is None:
        bundle = context.github.read_bundle(app.repository, job.revision, environment.compose)
        job = replace(job, bundle=bundle)
    journal.hide(variables_of(job, environment, context, job.bundle))
    draft = complete(job, app, environment, context, partial(journal.record, EventKind.IMAGE))
    keep_proof(job, draft, context.store.images)
    release = context.store.releases.save(deployment.id, draft, context.clock.now())
    named = ", ".join(f"{service} {image.short}" for service, image in release.images.items())
    journal.record(EventKind.RESOLVE, f"release {release.id}: {named}")
    return release
