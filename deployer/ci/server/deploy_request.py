"""The deploy request to the server. In: the run, its images, the Compose files. Out: `DeployRequest`."""

from __future__ import annotations

from collections.abc import Iterable

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage
from deployer.ci.git import tracked_files
from deployer.ci.github.env_input import given_variables
from deployer.ci.github.inputs import Context, app, compose_file
from deployer.ci.server.rendering_variables import rendering_variables
from deployer.core.compose.bundle import collect_bundle
from deployer.core.images import Image
from deployer.core.model import Attested, Credentials
from deployer.core.requests.deploy_request import DeployRequest


def request_of(
    context: Context,
    images: Iterable[BuiltImage],
    place: str,
    *,
    credentials: Credentials | None = None,
    confirm: int = 0,
    tested: Attested | None = None,
) -> DeployRequest:
    """Returns the request. `place` is the server's environment. An image without a push is named by the
    engine's id.
    """
    workspace = context.workspace
    bundle = collect_bundle(
        compose_file(workspace),
        tracked_files.listed_files(workspace),
        lambda path: tracked_files.read_text(workspace, path),
    )
    return DeployRequest(
        repository=context.repository,
        app=app(),
        environment=place,
        revision=context.revision,
        run=context.run,
        actor=context.actor,
        images={image.service: Image(image.repository, image.digest or image.id) for image in images},
        bundle=bundle,
        credentials=credentials,
        variables=given_variables(),
        defaults=rendering_variables(bundle),
        confirm=confirm,
        tested=tested,
    )


def tested_of(images: Iterable[BuiltImage]) -> Attested:
    """Returns the run's attestation for images that it built and tested, or reused on the server's proof."""
    known = [image for image in images if image.tree]
    return Attested(
        run_state.load("combination", ""),
        {image.service: image.tree for image in known},
        frozenset(image.service for image in known if image.reused),
    )
