"""Assembly of releases. In: deploy jobs, releases, the deploy context. Out: a complete release, a desired
state that can be rolled out. Never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from deployer.core.auth.job_authorization import judge_images
from deployer.core.compose.file_mounts import refuse_data_files
from deployer.core.compose.rendering import FILES, FOLDER
from deployer.core.config.settings import App, Config, Environment
from deployer.core.model import Bundle, DeployJob, GivenVariables, Kind, Release
from deployer.core.permissions.compose_privileges import check_privileges
from deployer.core.release.image_selection import ImageRequirement, wanted_images
from deployer.core.release.one_shots import LOOK_BACK, run_one_shots
from deployer.core.variables.committed import committed_variables
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_images import ImageFinder


def complete(
    job: DeployJob,
    app: App,
    environment: Environment,
    context: DeployContext,
    note: Callable[[str], None] = lambda _: None,
) -> Release:
    """Returns a complete release, without an id yet, from the request, the repository and the registry.
    `note` receives a line for each image that was resolved elsewhere than in the request.
    """
    bundle = job.bundle or context.github.read_bundle(app.repository, job.revision, environment.compose)
    variables = variables_of(job, environment, context, bundle)
    rendered = context.renderer.render(environment.project, bundle, variables)
    judge_powers(rendered, app.name, environment, context.config)
    wanted = image_requirements(rendered, job, app, bundle, context.config)
    store, registry, login = context.store, context.registry, context.login
    finder = ImageFinder(job, app, environment, bundle.entry, store, registry, login, note)
    images = finder.find(wanted)
    judge_images(app, wanted, images)
    given = GivenVariables(job.variables, job.defaults)
    return Release("", app.name, job.revision, images, bundle, variables, given)


def image_requirements(
    rendered: Mapping[str, Any], job: DeployJob, app: App, bundle: Bundle, config: Config
) -> list[ImageRequirement]:
    """Returns the images that the job's services require."""
    return wanted_images(
        rendered,
        job.images or {},
        revision=job.revision,
        registry=config.registry_host,
        source=app.repository,
        compose=bundle.entry,
    )


def variables_of(
    job: DeployJob, environment: Environment, context: DeployContext, bundle: Bundle | None = None
) -> dict[str, str]:
    """Returns all variables of a deploy job: the request's win over the server's file, which wins over what
    the run's rendering used, which wins over the repository's own file. Raises ConfigError, ComposeRejected.
    """
    return _ranked(GivenVariables(job.variables, job.defaults), bundle, environment, context)


def with_present_variables(release: Release, environment: Environment, context: DeployContext) -> Release:
    """Returns the release with what the server's file says now; itself if nothing changed, or if an older
    build stored it. Raises ConfigError.
    """
    if release.given is None:
        return release
    variables = _ranked(release.given, release.bundle, environment, context)
    return release if variables == release.variables else replace(release, id="", variables=variables)


def changed_names(before: Release, after: Release) -> list[str]:
    """Returns the sorted names of the variables in which two releases differ."""
    names = {*before.variables, *after.variables}
    return sorted(name for name in names if before.variables.get(name) != after.variables.get(name))


def _ranked(
    given: GivenVariables, bundle: Bundle | None, environment: Environment, context: DeployContext
) -> dict[str, str]:
    committed = committed_variables(bundle, given.request) if bundle else {}
    below = {**committed, **given.defaults}
    own = context.variables(environment.variables_file, given.request, below)
    return {**below, **own, **given.request}


def tasks_run(job: DeployJob, release: str, context: DeployContext, own: str = "") -> bool:
    """True if the release's one-shot tasks run; `own` is the id of the job's own deployment."""
    history = context.store.deployments.history
    past = history(job.app, job.environment, LOOK_BACK) if job.kind is Kind.REDEPLOY else ()
    return run_one_shots(job.kind, release, (one for one in past if one.id != own), asked=job.run_tasks)


def judge_powers(rendered: Mapping[str, Any], app: str, environment: Environment, config: Config) -> None:
    """Raises PowerRefused for what the settings do not grant, ComposeRejected for data in a mounted file."""
    check_privileges(
        rendered,
        environment.allow,
        project=environment.project,
        setting=settings_table(app, environment),
        around=config.neighbourhood,
    )
    refuse_data_files(rendered.get("services") or {}, rendered.get(FOLDER, ""), rendered.get(FILES) or {})


def settings_table(app: str, environment: Environment) -> str:
    """Returns the name of an environment's settings table, for error texts."""
    return f"apps.{app}.environments.{environment.name}"
