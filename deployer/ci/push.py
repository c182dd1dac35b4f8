"""`push`: the tested images to the registry. In: image ids. Out: digests, proven to be those images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from deployer.ci import docker, state, workflow
from deployer.ci.built import BuiltImage, require, save_images
from deployer.ci.context import read_context
from deployer.ci.login import Login, authorization, given_login, log_in
from deployer.ci.registry import config_digest, fetch_manifest
from deployer.core.errors import CommandFailed, Forbidden, ReleaseIncomplete
from deployer.core.images import Image, is_tag, split_host
from deployer.core.mode import Mode

_HEADS = "refs/heads/"


def run() -> None:
    """Raises CommandFailed for a failed push, ReleaseIncomplete for bytes that were not tested."""
    allow(Mode.BUILD, Mode.DEPLOY)
    context, images = read_context(), require("test")
    login = given_login(context, images)
    config = log_in(login)
    references = dict.fromkeys(image.reference for image in images)
    for reference in references:
        _push(reference, config)
    proven = [_proven(image, login) for image in images]
    save_images(proven)
    _move_branch_tag(context.ref, proven, config)


def allow(*modes: Mode) -> None:
    """The last line of defence: the steps' own conditions come first. Raises Forbidden."""
    mode = state.load("decision", {}).get("mode", "")
    if mode not in modes:
        raise Forbidden(f"this run's mode is {mode or 'not decided'}: nothing may leave the runner")


def _push(reference: str, config: Mapping[str, str]) -> None:
    with workflow.group(f"Push {reference}"):
        ended = docker.push(reference, config)
    if ended.code:
        raise CommandFailed(
            f"{reference} cannot be pushed: {ended.last_line}",
            hint="the job needs `packages: write`, and the package must belong to this repository",
        )


def _proven(image: BuiltImage, login: Login | None) -> BuiltImage:
    host, _ = split_host(image.repository)
    for candidate in _pushed(image):
        manifest = fetch_manifest(candidate, authorization(host, login))
        if config_digest(manifest) == image.id:
            workflow.say(f"{image.service}: {candidate} has the tested image's configuration, {image.id}")
            return replace(image, digest=candidate.digest)
        if candidate.digest == image.id:
            workflow.say(
                f"{image.service}: {candidate} is the tested image (the engine names it by its manifest)"
            )
            return replace(image, digest=candidate.digest)
    raise ReleaseIncomplete(
        f"{image.reference}: what the registry has is not the image that was tested ({image.id})",
        hint="did another run, or the test command, tag over it? Run the workflow again",
    )


def _pushed(image: BuiltImage) -> Iterable[Image]:
    """What the engine has pushed of this image; Docker Hub's names are written without their host there."""
    for name in docker.inspect(image.reference).get("RepoDigests") or ():
        repository, _, digest = str(name).partition("@")
        if split_host(repository) == split_host(image.repository):
            yield Image(image.repository, digest)


def _move_branch_tag(ref: str, images: Iterable[BuiltImage], config: Mapping[str, str]) -> None:
    """The branch's tag is for people and moves after the proof; no deploy reads it, so it fails none."""
    branch = ref.removeprefix(_HEADS)
    if not ref.startswith(_HEADS) or not is_tag(branch):
        return
    for source, repository in {image.reference: image.repository for image in images}.items():
        target = f"{repository}:{branch}"
        try:
            docker.tag(source, target)
            _push(target, config)
        except CommandFailed as error:
            workflow.warning(error.diagnostics(), title=f"deployer: {target} was not moved")
