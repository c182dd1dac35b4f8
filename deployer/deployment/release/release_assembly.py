"""Assembly of releases. In: deploy jobs, releases, the deploy context. Out: a complete release, a desired
state that can be rolled out. Never changes anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from deployer.core.auth.authorization import login_for
from deployer.core.auth.job_authorization import judge_images
from deployer.core.backoff import pause
from deployer.core.compose.file_mounts import refuse_data_files
from deployer.core.compose.project_names import judge_project, own_project
from deployer.core.compose.rendering import FILES, FOLDER, MOUNTED
from deployer.core.config.settings import App, Environment
from deployer.core.errors import ContainerRefused, RegistryUnavailable
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Credentials, DeployJob, EventKind, Kind, ObservedState, Release
from deployer.core.permissions.compose_privileges import asked_by_model, check_privileges
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.ports.clock import Clock
from deployer.core.ports.journal import Journal
from deployer.core.ports.target import Target
from deployer.core.release.image_selection import wanted_images
from deployer.core.release.one_shots import LOOK_BACK, run_one_shots
from deployer.core.rollout.desired_state import DesiredState, assemble
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
    variables = variables_of(job, environment, context)
    rendered = context.target.render(environment.project, bundle, variables)
    _judge_powers(rendered, app.name, environment, context)
    wanted = wanted_images(
        rendered,
        job.images or {},
        revision=job.revision,
        registry=context.config.registry_host,
        source=app.repository,
        compose=bundle.entry,
    )
    store, registry, login = context.store, context.registry, context.login
    finder = ImageFinder(job, app, environment, bundle.entry, store, registry, login, note)
    images = finder.find(wanted)
    judge_images(app, wanted, images)
    return Release("", app.name, job.revision, images, bundle, variables)


def variables_of(job: DeployJob, environment: Environment, context: DeployContext) -> dict[str, str]:
    """Returns the server's variables file, overridden by the request's variables."""
    return {**context.variables(environment.variables_file), **job.variables}


def assembled(
    environment: Environment,
    release: Release,
    context: DeployContext,
    *,
    judged: bool = False,
    credentials: Credentials | None = None,
    configs: Mapping[str, ImageConfig] | None = None,
) -> DesiredState:
    """Returns the release's desired state. `judged` on the way forward only: a release that served before may
    return under settings that became stricter. `configs`: service → its image's configuration, if the caller
    has it already.
    """
    rendered = context.target.render(environment.project, release.bundle, release.variables)
    if judged:
        _judge_powers(rendered, release.app, environment, context)
    edge = context.target.edge_settings(environment.project)
    if configs is None:
        configs = image_configs(release, context, credentials)
    texts = [text for name, text in release.bundle.files.items() if name != release.bundle.entry]
    application = assemble(rendered, release.images, environment.project, edge, configs, texts)
    permissions = _permissions(rendered, release.app, environment, context, judged=judged)
    return replace(application, permissions=permissions)


def image_configs(
    release: Release, context: DeployContext, credentials: Credentials | None = None
) -> dict[str, ImageConfig]:
    """Returns service → its image's configuration, from the target or, for an image that is not pulled yet,
    from the registry.
    """

    def ask(image: Image) -> ImageConfig:
        login = login_for(context.config.app(release.app), image.repository, credentials, context.login)
        return _persist(context.clock, partial(context.registry.image_config, image, login))

    return {
        service: context.target.image_config(image) or ask(image) for service, image in release.images.items()
    }


def _persist(clock: Clock, ask: Callable[[], ImageConfig]) -> ImageConfig:
    """Returns the registry's answer, with retries while the registry is unavailable, as for a pull."""
    begun, tried = clock.monotonic(), 0
    while True:
        try:
            return ask()
        except RegistryUnavailable:
            tried += 1
            rest = pause(tried, clock.monotonic() - begun, random.random())
            if rest is None:
                raise
        clock.sleep(rest)


def project_note(
    application: DesiredState, release: Release, app: App, environment: Environment, context: DeployContext
) -> str:
    """Returns a notice about a first deploy's project name, empty if there is none. Raises OtherProject."""
    if context.store.serving(app.name, environment.name) is not None:
        return ""
    places = (one for each in context.config.apps.values() for one in each.environments.values())
    return judge_project(
        application.document,
        own_project(release.bundle, release.variables),
        environment.project,
        context.target.occupied(environment.project).projects,
        others=[one.project for one in places if one.project != environment.project],
        table=f"[apps.{app.name}.environments.{environment.name}]",
    )


def warn(
    application: DesiredState,
    release: Release,
    app: App,
    environment: Environment,
    context: DeployContext,
    journal: Journal,
) -> None:
    """Records notices about certificates and the project name. Raises CertificateInvalid, ComposeRejected or
    OtherProject.
    """
    if warning := context.target.check_edge(application, context.clock.now()):
        journal.record(EventKind.CERTIFICATE, warning)
    if note := project_note(application, release, app, environment, context):
        journal.record(EventKind.PROJECT, note)


def tasks_run(job: DeployJob, release: str, context: DeployContext, own: str = "") -> bool:
    """True if the release's one-shot tasks run; `own` is the id of the job's own deployment."""
    past = context.store.deployments(job.app, job.environment, LOOK_BACK) if job.kind is Kind.REDEPLOY else ()
    return run_one_shots(job.kind, release, (one for one in past if one.id != own), asked=job.run_tasks)


def refuse_other_images(application: DesiredState, observed: ObservedState, target: Target) -> None:
    """Raises ContainerRefused if a replica runs another image than the release names: another program that
    creates containers in this project may have been quicker.
    """
    for service in application.services:
        wanted = target.image_id(service.image) if service.image else ""
        for replica in observed.of(service.name):
            if wanted and replica.spec == service.spec and replica.image != wanted:
                raise ContainerRefused(
                    f"{replica.name} runs {replica.image}, which is not {service.image}",
                    hint="something else on this machine creates containers of this project",
                )


def _judge_powers(
    rendered: Mapping[str, Any], app: str, environment: Environment, context: DeployContext
) -> None:
    check_privileges(
        rendered,
        environment.allow,
        project=environment.project,
        setting=_setting(app, environment),
        around=context.config.neighbourhood,
    )
    refuse_data_files(rendered.get("services") or {}, rendered.get(FOLDER, ""), rendered.get(FILES) or {})


def _permissions(
    rendered: Mapping[str, Any], app: str, environment: Environment, context: DeployContext, *, judged: bool
) -> Permissions:
    """Returns the policy for the create requests. On the way back the privileges of the model count as
    granted: it served, and settings may have become stricter since. A request that goes beyond its model is
    refused all the same.
    """
    around, granted = context.config.neighbourhood, set(environment.allow)
    if not judged:
        granted |= {grant for _, grant in asked_by_model(rendered, environment.project, around)}
    mounted = rendered.get(MOUNTED)
    return Permissions(
        project=environment.project,
        granted=frozenset(granted),
        setting=_setting(app, environment),
        around=around,
        readable=(str(mounted),) if mounted else (),
    )


def _setting(app: str, environment: Environment) -> str:
    """Returns the name of an environment's settings table, for error texts."""
    return f"apps.{app}.environments.{environment.name}"
