"""`build`: builds all services with `build:` at once, except those with a known image. In: the Compose file.
Out: images.

In a deploying run, an image is known if the server's record proves it for the tree of the build; in any other
run, if the registry has a tag of that tree. A scheduled run, and one with `rebuild`, takes nothing as known,
pulls fresh base images and uses no cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage, save_images, save_test_images
from deployer.ci.git import tracked_files
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, compose_file, flag, input_text, read_context, registry
from deployer.ci.images import docker_cli
from deployer.ci.images.bake_definition import read_definition
from deployer.ci.images.bake_progress import Progress
from deployer.ci.images.build_cache import combine, find_known, together, was_tested
from deployer.ci.images.build_hashes import read_trees
from deployer.ci.images.manifests import Manifest
from deployer.ci.images.registry_login import Login, log_in, log_out, login_to
from deployer.ci.images.test_stack import spread
from deployer.ci.steps.reusable_images import find_proven
from deployer.core.build.run_mode import Mode
from deployer.core.build.service_builds import built_repositories
from deployer.core.errors import CommandFailed, ComposeRejected, ConfigError
from deployer.core.images import revision_tag
from deployer.core.names import SERVICE_NAME
from deployer.core.release.image_labels import COMPOSE_LABEL, SERVICE_LABEL
from deployer.core.release.proven_images import Source

_LABEL = "labels.org.opencontainers.image"
# For images of services that only test the others: no registry has this name, so none can be pushed.
_TEST_PLACE = "deployer.invalid"
_THREADS = 8
_NAMES = "letters, digits, `.`, `_` and `-`, a letter or digit first, 63 at most"


@dataclass(frozen=True)
class Work:
    """The builds of a run: service → repository, for the services that ship and those that only test."""

    context: Context
    file: Path
    shipped: Mapping[str, str]
    tests: Mapping[str, str]
    builders: Sequence[str]  # one service for every repository

    @property
    def repositories(self) -> dict[str, str]:
        return {**self.tests, **self.shipped}


def run() -> None:
    """Builds the services. Raises ComposeRejected, ConfigError, SecretInBuild or CommandFailed."""
    context = read_context()
    definition = read_definition(context.workspace, compose_file(context.workspace))
    _refuse_test_service(definition.model["services"])
    work = _plan(context, definition.file, definition.model["services"])
    settings = list(_settings(work))
    targets = docker_cli.describe(work.file, [target_of(service) for service in work.builders], settings)
    # Older versions of bake ignore build.platforms.
    builds = {name: service.get("build") or {} for name, service in definition.model["services"].items()}
    _refuse_platforms({**targets, **builds})
    trees = read_trees(targets)
    by_service = {service: trees[target_of(service)] for service in work.builders}
    login = login_to(context, work.shipped.values())
    known = _known(work, definition.model, by_service, login)
    _save(work, by_service, known, _bake(work, known, settings))


def _refuse_test_service(services: Mapping[str, Any]) -> None:
    name = input_text("test-service")
    if name and name not in services:
        raise ConfigError("test-service", f"the Compose file has no service {name!r}")


def is_test(service: Mapping[str, Any]) -> bool:
    """True if the service only tests the others."""
    return docker_cli.TEST_PROFILE in (service.get("profiles") or ())


def _plan(context: Context, file: Path, services: Mapping[str, Mapping[str, Any]]) -> Work:
    ships = {name: service for name, service in services.items() if not is_test(service)}
    tests = {name: {"build": service.get("build")} for name, service in services.items() if is_test(service)}
    place = {"source": context.repository, "compose": compose_file(context.workspace)}
    shipped = plan_repositories(ships, registry=registry(), **place)
    if not shipped:
        raise ComposeRejected("no service has build:", hint="give the services of this repository a build:")
    extra = plan_repositories(tests, registry=_TEST_PLACE, **place)
    builders = [*plan_builders(ships, shipped), *plan_builders(tests, extra)]
    _refuse_twins(builders)
    return Work(context, file, shipped, extra, builders)


def _refuse_twins(builders: Iterable[str]) -> None:
    first: dict[str, str] = {}
    for service in builders:
        other = first.setdefault(target_of(service), service)
        if other != service:
            raise ComposeRejected(
                f"services {other} and {service} have the same name in bake, {target_of(service)}",
                hint="rename one of them",
            )


def plan_repositories(
    services: Mapping[str, Mapping[str, Any]], *, registry: str, source: str, compose: str
) -> dict[str, str]:
    """Returns service with `build:` → repository of its image."""
    built = {name: service for name, service in services.items() if service.get("build")}
    for name in built:
        if not SERVICE_NAME.fullmatch(name):
            raise ComposeRejected(f"{name!r} cannot be deployed under this name", hint=_NAMES)
    return built_repositories(built, registry=registry, source=source, compose=compose)


def plan_builders(services: Mapping[str, Mapping[str, Any]], repositories: Mapping[str, str]) -> list[str]:
    """Returns one service for every repository; services that share a repository must share the build."""
    first: dict[str, str] = {}
    for service, repository in repositories.items():
        other = first.setdefault(repository, service)
        if services[service]["build"] != services[other]["build"]:
            raise ComposeRejected(
                f"services {other} and {service} build different images named {repository}",
                hint="give one of them another image:",
            )
    return list(first.values())


def target_of(service: str) -> str:
    """Returns bake's name for a Compose service: in bake, a dot separates the parts of an override."""
    return service.replace(".", "_")


def _settings(work: Work) -> Iterator[str]:
    context, date = work.context, tracked_files.commit_date(work.context.workspace, work.context.revision)
    compose = compose_file(context.workspace)
    for service in work.builders:
        target = target_of(service)
        yield f"{target}.tags={work.repositories[service]}:{revision_tag(context.revision)}"
        yield f"{target}.{_LABEL}.revision={context.revision}"
        yield f"{target}.{_LABEL}.source={context.site}/{context.repository}"
        yield f"{target}.labels.{COMPOSE_LABEL}={compose}"
        yield f"{target}.labels.{SERVICE_LABEL}={service}"
        if date:
            yield f"{target}.{_LABEL}.created={date}"


def _refuse_platforms(targets: Mapping[str, Mapping[str, Any]]) -> None:
    for name, target in targets.items():
        if len(target.get("platforms") or ()) > 1:
            raise ComposeRejected(
                f"{name} is built for {len(target['platforms'])} platforms, and only one can be tested here",
                hint="keep the server's platform in build.platforms",
            )


def _known(
    work: Work, model: Mapping[str, Any], trees: Mapping[str, str], login: Login | None
) -> dict[str, Manifest]:
    """Returns repository → image that need not be built. If a test runs them together with others, they are
    pulled.
    """
    run_state.save("tested", False)
    builder = {work.repositories[service]: service for service in work.builders}
    of_built = {name: trees[builder[place]] for name, place in work.repositories.items()}
    combination = combine(work.context, model, spread(model, of_built, work.repositories))
    run_state.save("combination", combination)
    if flag("rebuild") or run_state.load("refresh", False):
        return {}
    shipped = {place: trees[builder[place]] for place in work.shipped.values()}
    if run_state.load("decision", {}).get("mode") == Mode.DEPLOY:
        places = {builder[place]: Source(place, tree) for place, tree in shipped.items()}
        known, tested = find_proven(work.context, places, combination, login)
    else:
        known = find_known(shipped, login)
        complete = len(known) == len(shipped)
        tested = complete and was_tested(next(iter(known)), together(combination, known), login)
    run_state.save("tested", tested)
    return known if tested else _fetch(known, login)


def _fetch(known: Mapping[str, Manifest], login: Login | None) -> dict[str, Manifest]:
    """Returns the images that the engine could pull; the others are built."""
    if not known:
        return {}
    config = log_in(login)
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            here = pool.map(lambda place: _pull(f"{place}@{known[place].digest}", config), known)
            return {place: known[place] for place, done in zip(known, here, strict=True) if done}
    finally:
        log_out()


def _pull(reference: str, config: Mapping[str, str]) -> bool:
    try:
        docker_cli.pull(reference, config)
    except CommandFailed as error:
        workflow_commands.say(f"{reference} cannot be fetched and is built: {error}")
        return False
    return True


def _bake(work: Work, known: Mapping[str, Manifest], settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns repository → bake's metadata, with the build's seconds."""
    tested = run_state.load("tested", False)
    builders = [
        name
        for name in work.builders
        if work.repositories[name] not in known and not (tested and name in work.tests)
    ]
    targets = [target_of(service) for service in builders]
    if not builders:
        return {}
    metadata, progress = run_state.folder() / "bake.json", Progress(targets)
    with workflow_commands.group(f"Build {', '.join(builders)}"):
        ended = docker_cli.bake(
            work.file,
            targets,
            [setting for setting in settings if setting.partition(".")[0] in targets],
            metadata,
            anew=flag("rebuild") or bool(run_state.load("refresh", False)),
            watch=progress.read,
        )
    if ended.code:
        raise CommandFailed(f"docker buildx bake ended with exit code {ended.code}: {ended.last_line}")
    found: dict[str, Any] = json.loads(metadata.read_text(encoding="utf-8"))
    seconds = progress.seconds()
    return {
        work.repositories[service]: {
            **found.get(target_of(service), {}),
            "seconds": seconds.get(target_of(service), 0.0),
        }
        for service in builders
    }


def _save(
    work: Work,
    trees: Mapping[str, str],
    known: Mapping[str, Manifest],
    built: Mapping[str, Mapping[str, Any]],
) -> None:
    of_repository = {work.repositories[service]: tree for service, tree in trees.items()}
    tag = revision_tag(work.context.revision)
    names = {place: f"{place}:{tag}" for place in built}
    if not run_state.load("tested", False):
        names.update({place: f"{place}@{manifest.digest}" for place, manifest in known.items()})
    here = docker_cli.inspect(names.values())
    ids = {place: str(here[name]["Id"]) for place, name in names.items()}
    images = [
        _reused(BuiltImage(service, place, tag, ids.get(place, "")), known[place], of_repository[place])
        if place in known
        else _built(BuiltImage(service, place, tag, ids[place]), built[place], of_repository[place])
        for service, place in work.shipped.items()
    ]
    save_images(images)
    tests = [(service, place) for service, place in work.tests.items() if place in built]
    save_test_images(
        _built(BuiltImage(service, place, tag, ids[place]), built[place], "") for service, place in tests
    )
    for image in images:
        how = f"reused, {image.repository}@{image.digest}" if image.reused else f"built as {image.reference}"
        workflow_commands.say(f"{image.service}: {how} is {image.id}")


def _reused(image: BuiltImage, manifest: Manifest, tree: str) -> BuiltImage:
    """Completes a reused image. The engine has it only if this run tests it; otherwise the registry's id is
    used.
    """
    id = image.id or manifest.config_digest or manifest.digest
    return replace(image, id=id, digest=manifest.digest, tree=tree, reused=True)


def _built(image: BuiltImage, found: Mapping[str, Any], tree: str) -> BuiltImage:
    if image.id not in {found.get(f"containerimage.{key}") for key in ("config.digest", "digest")}:
        raise CommandFailed(
            f"{image.reference} is not the image that was just built; does another run use this engine?"
        )
    return replace(image, tree=tree, seconds=float(found["seconds"]))
