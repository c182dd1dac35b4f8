"""Desired state of a release as containers. In: a release, its environment. Out: a desired state that can be
rolled out, and notices about it. Never changes anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from deployer.core.auth.authorization import login_for
from deployer.core.backoff import pause
from deployer.core.compose.project_names import judge_project, own_project
from deployer.core.compose.rendering import MOUNTED
from deployer.core.config.settings import App, Environment
from deployer.core.errors import ContainerRefused, RegistryUnavailable
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Credentials, ObservedState, Release
from deployer.core.permissions.compose_privileges import asked_by_model
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.ports.clock import Clock
from deployer.core.ports.container_host import ImageStore
from deployer.core.rollout.desired_state import DesiredState, assemble
from deployer.core.variables.committed import blank_names, told_blank
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.release.release_assembly import judge_powers, settings_table


def assembled(
    environment: Environment,
    release: Release,
    context: ContainerContext,
    *,
    judged: bool = False,
    credentials: Credentials | None = None,
    configs: Mapping[str, ImageConfig] | None = None,
) -> DesiredState:
    """Returns the release's desired state. `judged` on the way forward only: a release that served before may
    return under settings that became stricter. `configs`: service → its image's configuration, if the caller
    has it already.
    """
    rendered = context.renderer.render(environment.project, release.bundle, release.variables)
    if judged:
        judge_powers(rendered, release.app, environment, context.config)
    edge = context.host.router.edge_settings(environment.project)
    if configs is None:
        configs = image_configs(release, context, credentials)
    texts = [text for name, text in release.bundle.files.items() if name != release.bundle.entry]
    application = assemble(rendered, release.images, environment.project, edge, configs, texts)
    permissions = _permissions(rendered, release.app, environment, context, judged=judged)
    return replace(application, permissions=permissions)


def image_configs(
    release: Release, context: ContainerContext, credentials: Credentials | None = None
) -> dict[str, ImageConfig]:
    """Returns service → its image's configuration, from the host or, for an image that is not pulled yet,
    from the registry.
    """

    def ask(image: Image) -> ImageConfig:
        login = login_for(context.config.app(release.app), image.repository, credentials, context.login)
        return _persist(context.clock, partial(context.registry.image_config, image, login))

    present = context.host.images.image_config
    return {service: present(image) or ask(image) for service, image in release.images.items()}


def present_configs(
    release: Release, environment: Environment, context: ContainerContext
) -> dict[str, ImageConfig]:
    """Returns service → configuration of its image, or of the serving image when the new one is not on the
    host. Asks no registry.
    """
    before = context.store.deployments.serving(release.app, environment.name)
    serving = context.store.releases.get(before.release).images if before else {}
    images = {name: (image, serving.get(name)) for name, image in release.images.items()}
    present = context.host.images.image_config
    return {
        name: next((found for one in both if one and (found := present(one))), ImageConfig())
        for name, both in images.items()
    }


def blank_note(application: DesiredState, release: Release) -> str:
    """Returns a notice about variables that nobody gives a value, empty if there are none."""
    read = application.folders.read
    return told_blank(blank_names(release.bundle, release.variables, application.document, read))


def project_note(
    application: DesiredState, release: Release, app: App, environment: Environment, context: ContainerContext
) -> str:
    """Returns a notice about a first deploy's project name, empty if there is none. Raises OtherProject."""
    if context.store.deployments.serving(app.name, environment.name) is not None:
        return ""
    configured = (one for each in context.config.apps.values() for one in each.environments.values())
    return judge_project(
        application.document,
        own_project(release.bundle, release.variables),
        environment.project,
        context.host.runtime.occupied(environment.project).projects,
        others=[one.project for one in configured if one.project != environment.project],
        table=f"[{settings_table(app.name, environment)}]",
    )


def refuse_other_images(application: DesiredState, observed: ObservedState, images: ImageStore) -> None:
    """Raises ContainerRefused if a replica runs another image than the release names: another program that
    creates containers in this project may have been quicker.
    """
    for service in application.services:
        wanted = images.image_id(service.image) if service.image else ""
        for replica in observed.of(service.name):
            if wanted and replica.spec == service.spec and replica.image != wanted:
                raise ContainerRefused(
                    f"{replica.name} runs {replica.image}, which is not {service.image}",
                    hint="something else on this machine creates containers of this project",
                )


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


def _permissions(
    rendered: Mapping[str, Any],
    app: str,
    environment: Environment,
    context: ContainerContext,
    *,
    judged: bool,
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
        setting=settings_table(app, environment),
        around=around,
        readable=(str(mounted),) if mounted else (),
    )
