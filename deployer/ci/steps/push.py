"""`push`: sends the tested images to the registry. In: image ids. Out: digests, proven to be those images,
and their tags.

Each layer is transferred once, under the revision's own tag. Every other tag is the same manifest sent again,
after the proof: no tag ever names an untested image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage, require, save_images
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, compose_file, read_context, read_payload
from deployer.ci.images import docker_cli
from deployer.ci.images.build_cache import together
from deployer.ci.images.manifests import Manifest, fetch_labels, fetch_manifest, find_manifest, put_manifest
from deployer.ci.images.registry_login import Login, authorization, given_login, log_in
from deployer.core.build.build_hash import TESTED, TREE
from deployer.core.build.image_tags import tags_of
from deployer.core.build.run_mode import Mode
from deployer.core.errors import CommandFailed, DeployerError, Forbidden, ReleaseIncomplete
from deployer.core.images import Image, split_host
from deployer.core.release.image_labels import judge_labels

_THREADS = 8
Given = TypeVar("Given")
Found = TypeVar("Found")


def run() -> None:
    """Pushes, proves and tags the images. Raises CommandFailed for a failed push, ReleaseIncomplete for bytes
    that were not tested.
    """
    allow(Mode.BUILD, Mode.DEPLOY)
    context, images = read_context(), require("test")
    login = given_login(context, images)
    config = log_in(login)
    built = {image.repository: image.reference for image in images if not image.reused}
    _refuse_swapped(images, docker_cli.inspect(built.values()))
    _at_once(lambda place: _refuse_taken(context, place, images, login), {one.repository for one in images})
    for line in _at_once(lambda reference: _push(reference, config), built.values()):
        workflow_commands.say(line)
    by_repository = {image.repository: image for image in images}
    here = docker_cli.inspect(built.values())
    manifests = _at_once(lambda image: _prove(image, _candidates(image, here), login), by_repository.values())
    proven = dict(zip(by_repository, manifests, strict=True))
    tagged = _tag(context, by_repository, proven, login)
    save_images(
        [
            replace(image, digest=proven[image.repository].digest, tags=tagged[image.repository])
            for image in images
        ]
    )


def _refuse_swapped(images: Iterable[BuiltImage], here: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ReleaseIncomplete if a name no longer stands for the tested image: docker pushes a name, and
    others could pull an untested image.
    """
    for image in images:
        if not image.reused and here[image.reference]["Id"] != image.id:
            raise _untested(image, "the image that now has this name")


def _untested(image: BuiltImage, what: str) -> ReleaseIncomplete:
    return ReleaseIncomplete(
        f"{image.reference}: {what} is not the image that was tested ({image.id})",
        hint="another run, or the test command, may have moved the tag; run the workflow again",
    )


def _refuse_taken(context: Context, place: str, images: Sequence[BuiltImage], login: Login | None) -> None:
    """Refuses to move the revision's tag from the image of another Compose file or service. Raises
    ImageOfAnother.
    """
    own = [image for image in images if image.repository == place]
    host, _ = split_host(place)
    proof, tag = authorization(host, login), own[0].tag
    found = find_manifest(place, tag, proof)
    if found is None or own[0].id in (found.config_digest, found.digest) or own[0].digest == found.digest:
        return
    labels = fetch_labels(place, found, proof)
    compose = compose_file(context.workspace)
    judge_labels(labels, f"{place}:{tag}", context.repository, compose, [image.service for image in own])
    workflow_commands.say(f"{place}:{tag} named {found.digest} before; it moves to this run's image")


def allow(*modes: Mode) -> None:
    """Raises Forbidden if the run's mode does not permit this step. A last line of defence: the workflow's
    own conditions come first.
    """
    mode = run_state.load("decision", {}).get("mode", "")
    if mode not in modes:
        raise Forbidden(f"this run's mode is {mode or 'not decided'}: nothing may leave the runner")


def _at_once(do: Callable[[Given], Found], values: Iterable[Given]) -> list[Found]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(do, values))


def _push(reference: str, config: Mapping[str, str]) -> str:
    try:
        return f"pushed {reference}: {docker_cli.push(reference, config)}"
    except CommandFailed as error:
        raise CommandFailed(
            f"{reference} cannot be pushed: {error}",
            hint="the job needs `packages: write`, and the package must belong to this repository",
        ) from None


def _candidates(image: BuiltImage, here: Mapping[str, Mapping[str, Any]]) -> list[Image]:
    """Returns the images to search for the proof; a reused image was proven when its tree's tag
    was written.
    """
    if image.reused:
        return [Image(image.repository, image.digest)]
    return list(_pushed(image, here[image.reference].get("RepoDigests") or ()))


def _prove(image: BuiltImage, candidates: Iterable[Image], login: Login | None) -> Manifest:
    """Returns the registry's manifest of an image. Raises ReleaseIncomplete if it is not the tested image."""
    host, _ = split_host(image.repository)
    for candidate in candidates:
        manifest = fetch_manifest(candidate, authorization(host, login))
        if manifest.config_digest == image.id:
            workflow_commands.say(
                f"{image.service}: {candidate} has the tested image's configuration, {image.id}"
            )
            return manifest
        if candidate.digest == image.id:
            workflow_commands.say(
                f"{image.service}: {candidate} is the tested image (the engine names it by its manifest)"
            )
            return manifest
    raise _untested(image, "the registry's image")


def _pushed(image: BuiltImage, names: Iterable[str]) -> Iterator[Image]:
    """Yields the pushed digests that the engine lists for this image; it writes Docker Hub's names without
    their host.
    """
    for name in names:
        repository, _, digest = str(name).partition("@")
        if split_host(repository) == split_host(image.repository):
            yield Image(image.repository, digest)


def _tag(
    context: Context,
    images: Mapping[str, BuiltImage],
    manifests: Mapping[str, Manifest],
    login: Login | None,
) -> dict[str, tuple[str, ...]]:
    """Writes the tags and returns repository → every tag that names its image now. Other runs rely only on
    the revision's own tag.
    """
    moving = _moving_tags(context)
    needed = [(place, image.tag) for place, image in images.items() if image.reused]
    trees = [
        (place, f"{TREE}{image.tree}") for place, image in images.items() if image.tree and not image.reused
    ]
    entries = [*trees, *((place, tag) for place in images for tag in moving)]
    for place, tag in needed:
        _put(place, tag, manifests[place], login)
    tried = _at_once(lambda entry: _try(entry[0], entry[1], manifests[entry[0]], login), entries)
    done = [entry for entry, written in zip(entries, tried, strict=True) if written]
    _keep_tested(images, manifests, login)
    return {
        place: (image.tag, *(tag for other, tag in done if other == place)) for place, image in images.items()
    }


def _moving_tags(context: Context) -> Sequence[str]:
    repository = read_payload().get("repository")
    default = repository.get("default_branch") if isinstance(repository, Mapping) else ""
    return tags_of(context.ref, str(default or ""))


def _keep_tested(
    images: Mapping[str, BuiltImage], manifests: Mapping[str, Manifest], login: Login | None
) -> None:
    """Tags the combination as tested together, so that the next run need not test it again."""
    combination = together(run_state.load("combination", ""), manifests)
    if combination and not run_state.load("tested", False):
        place = next(iter(images))
        _try(place, f"{TESTED}{combination}", manifests[place], login)


def _try(place: str, tag: str, manifest: Manifest, login: Login | None) -> bool:
    """Writes a tag that no deploy reads; a failure is only a warning."""
    try:
        _put(place, tag, manifest, login)
    except DeployerError as error:
        workflow_commands.warning(error.diagnostics(), title=f"deployer: {place}:{tag} was not written")
        return False
    return True


def _put(place: str, tag: str, manifest: Manifest, login: Login | None) -> None:
    host, _ = split_host(place)
    put_manifest(place, tag, manifest, authorization(host, login))
