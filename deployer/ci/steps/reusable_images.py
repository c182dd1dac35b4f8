"""Reusable images: those that the server knows as proven, asked for before a deploying run builds anything.
In: trees, the combination. Out: manifests of images, and True if one run tested all of them together.

A deploying run reuses nothing else: any job with permission to write packages may have written a tag. If the
server cannot be asked, everything is built and tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deployer.ci import run_state
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, app, server
from deployer.ci.github.permissions import may_request
from deployer.ci.images.manifests import Manifest, find_manifest
from deployer.ci.images.registry_login import Login, authorization
from deployer.ci.server.authentication import prove
from deployer.core.errors import DeployerError, PayloadRejected
from deployer.core.images import Image, parse_image, split_host
from deployer.core.release.proven_images import ProvenQuery, Source, encode_query
from deployer.io.http_client import ServerUnavailable, call

_PATH = "/api/v1/tested-images"
_PATIENCE = 20.0
_THREADS = 8
_BUILT = "everything is built and tested"


def find_proven(
    context: Context, sources: Mapping[str, Source], combination: str, login: Login | None
) -> tuple[dict[str, Manifest], bool]:
    """Returns repository → proven image that the registry still has; and True if one run tested exactly these
    together. `sources`: one service for each repository.
    """
    known = {service: source for service, source in sources.items() if source.tree}
    if not known:
        return {}, False
    if not may_request():
        workflow_commands.say(f"the server answers for proven images only with `id-token: write`; {_BUILT}")
        return {}, False
    query = ProvenQuery(
        repository=context.repository,
        app=app(),
        environment=run_state.load("decision")["environment"],
        revision=context.revision,
        run=context.run,
        combination=combination,
        services=known,
    )
    try:
        images, tested = _ask(server(), encode_query(query), known)
    except DeployerError as error:
        workflow_commands.say(f"{error}; {_BUILT}")
        return {}, False
    found = _fetch(images, login)
    return found, tested and len(found) == len(sources)


def _ask(origin: str, body: bytes, sources: Mapping[str, Source]) -> tuple[list[Image], bool]:
    sent, proof = prove(origin, body)
    headers = {**proof, "Content-Type": "application/json", "Accept": "application/json"}
    answer = call("POST", f"{origin}{_PATH}", headers=headers, body=sent, timeout=_PATIENCE)
    table = answer.table()
    if answer.status != 200:
        older = ", as a server of an older version does" if answer.status == 404 else ""
        words = f"{origin} answers {answer.status}{older}: {table.get('message', '')}".rstrip(": ")
        raise ServerUnavailable(f"{words} (request for proven images)")
    images = table.get("images")
    if not isinstance(images, dict):
        raise PayloadRejected(f"{origin} names no images")
    return [_image(service, text, sources) for service, text in images.items()], table.get("tested") is True


def _image(service: str, text: Any, sources: Mapping[str, Source]) -> Image:
    """Parses an image. Raises PayloadRejected for one that was not requested."""
    image = parse_image(text)
    if service not in sources or image.repository != sources[service].repository:
        raise PayloadRejected(f"the server names {image} for {service}, which was not requested")
    return image


def _fetch(images: list[Image], login: Login | None) -> dict[str, Manifest]:
    """Returns the manifests that the registry still has; a digest is checked against the bytes it names."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda image: _find(image, login), images)
        return {image.repository: manifest for image, manifest in zip(images, found, strict=True) if manifest}


def _find(image: Image, login: Login | None) -> Manifest | None:
    host, _ = split_host(image.repository)
    try:
        found = find_manifest(image.repository, image.digest, authorization(host, login), tries=1)
    except DeployerError as error:
        workflow_commands.say(f"{image}: {error}; it is built")
        return None
    if found is None or found.digest != image.digest:
        workflow_commands.say(f"{image} is proven but no longer in the registry; it is built")
        return None
    return found
