"""`build`: every service with `build:`, in one go. In: the Compose file. Out: images and their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployer.ci import docker, sources, state, workflow
from deployer.ci.built import BuiltImage, save_images
from deployer.ci.context import Context, compose_file, read_context, registry
from deployer.core.errors import CommandFailed, ComposeRejected
from deployer.core.images import repository_of, revision_tag
from deployer.core.request import SERVICE_NAME

# Values for a production build that the repository itself keeps; without it, Compose reads `.env` as always.
PRODUCTION_VARIABLES = ".env.production"
_LABEL = "labels.org.opencontainers.image"


def run() -> None:
    """Raises ComposeRejected or CommandFailed."""
    context = read_context()
    path = compose_file(context.workspace)
    definition, model = _render(context.workspace / path)
    repositories = plan_repositories(model["services"], registry=registry(), source=context.repository)
    if not repositories:
        raise ComposeRejected(
            f"{path}: no service has build:", hint="give the services of this repository a build:"
        )
    builders = plan_builders(model["services"], repositories)
    known = _bake(context, definition, builders, repositories)
    images = [_image(context, service, name, known) for service, name in repositories.items()]
    save_images(images)
    for image in images:
        workflow.say(f"{image.service}: {image.reference} is {image.id}")


def _render(file: Path) -> tuple[Path, dict[str, Any]]:
    variables = file.parent / PRODUCTION_VARIABLES
    chosen = variables if variables.is_file() else None
    model = json.loads(docker.render(file, chosen, form="json"))
    state.save("model", model)
    # Bake reads Compose's rendering, so that both see the same values; only YAML keeps `x-bake`.
    definition = state.save_text("bake.yaml", docker.render(file, chosen, form="yaml"))
    return definition, model


def plan_repositories(
    services: Mapping[str, Mapping[str, Any]], *, registry: str, source: str
) -> dict[str, str]:
    """Service with `build:` → repository of its image."""
    built = {name: service for name, service in services.items() if service.get("build")}
    for name in built:
        if not SERVICE_NAME.fullmatch(name):
            raise ComposeRejected(f"{name!r} cannot be deployed under this name", hint="63 letters at most")
    return {
        name: repository_of(name, service.get("image") or "", registry=registry, source=source)
        for name, service in built.items()
    }


def plan_builders(services: Mapping[str, Mapping[str, Any]], repositories: Mapping[str, str]) -> list[str]:
    """One service for every repository; those that share a repository must share the build."""
    first: dict[str, str] = {}
    for service, repository in repositories.items():
        other = first.setdefault(repository, service)
        if services[service]["build"] != services[other]["build"]:
            raise ComposeRejected(
                f"services {other} and {service} build different images named {repository}",
                hint="give one of them another image:",
            )
    return list(first.values())


def _bake(
    context: Context, definition: Path, builders: Sequence[str], repositories: Mapping[str, str]
) -> Mapping[str, Any]:
    metadata = state.folder() / "bake.json"
    date = sources.commit_date(context.workspace, context.revision)
    settings = [
        setting
        for service in builders
        for setting in _settings(context, service, repositories[service], date)
    ]
    with workflow.group(f"Build {', '.join(builders)}"):
        ended = docker.bake(definition, [target_of(service) for service in builders], settings, metadata)
    if ended.code:
        raise CommandFailed(f"docker buildx bake ended with exit code {ended.code}: {ended.last_line}")
    known: dict[str, Any] = json.loads(metadata.read_text(encoding="utf-8"))
    return {repositories[service]: known.get(target_of(service), {}) for service in builders}


def target_of(service: str) -> str:
    """Bake's name for a Compose service: a dot separates parts of an override there."""
    return service.replace(".", "_")


def _settings(context: Context, service: str, repository: str, date: str) -> Iterator[str]:
    target = target_of(service)
    yield f"{target}.tags={repository}:{revision_tag(context.revision)}"
    yield f"{target}.{_LABEL}.revision={context.revision}"
    yield f"{target}.{_LABEL}.source={context.site}/{context.repository}"
    if date:
        yield f"{target}.{_LABEL}.created={date}"


def _image(context: Context, service: str, repository: str, known: Mapping[str, Any]) -> BuiltImage:
    tag = revision_tag(context.revision)
    id = str(docker.inspect(f"{repository}:{tag}")["Id"])
    built = {known[repository].get(f"containerimage.{key}") for key in ("config.digest", "digest")}
    if id not in built:
        raise CommandFailed(
            f"{repository}:{tag} is not what was just built; does another run use this engine?"
        )
    return BuiltImage(service, repository, tag, id)
