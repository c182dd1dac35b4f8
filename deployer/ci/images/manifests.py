"""Manifests in the registry, as far as a proof and a tag need them. In: names, login. Out: manifests with
checked digests.

Tags an image by sending its manifest's own bytes again: its digest stays, and no layer is transferred.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.images import Image, split_host
from deployer.io.http_client import Answer, HttpClient
from deployer.io.http_connections import is_loopback
from deployer.io.oci_client import (
    InsecureRedirect,
    LoginFailed,
    LoginFailure,
    OciClient,
    Repository,
    api_host,
    digest_of,
)

_TRIES = 3
_ABSENT = (401, 403, 404)


@dataclass(frozen=True)
class Manifest:
    """An image's manifest as the registry stores it: the bytes that its digest is computed from."""

    media_type: str
    body: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return digest_of(self.body)

    @property
    def config_digest(self) -> str:
        """The image id that a single-platform manifest names, empty for an index."""
        config = json.loads(self.body).get("config")
        return str(config.get("digest", "")) if isinstance(config, dict) else ""


def fetch_manifest(image: Image, authorization: str) -> Manifest:
    """Returns the manifest of `image` from the registry. Raises ImageNotFound or RegistryUnavailable."""
    answer = _ask(image.repository, authorization, lambda client: client.get(image.digest))
    if answer.status in _ABSENT:
        raise ImageNotFound(
            f"the registry answers {answer.status} for {image}",
            hint="either the image is not there or this login may not read it",
        )
    found = _manifest(image.repository, answer)
    if found.digest != image.digest:
        raise RegistryUnavailable(f"the registry sent bytes without the digest of {image}")
    return found


def find_manifest(repository: str, tag: str, authorization: str, *, tries: int = _TRIES) -> Manifest | None:
    """Returns the manifest of a tag; None if this login can read no such tag. Raises RegistryUnavailable."""
    answer = _ask(repository, authorization, lambda client: client.get(tag), tries=tries)
    return None if answer.status in _ABSENT else _manifest(repository, answer)


def fetch_labels(repository: str, manifest: Manifest, authorization: str) -> dict[str, str]:
    """Returns the labels of the image that a manifest of one platform names; none for an index. Raises
    RegistryUnavailable.
    """
    digest = manifest.config_digest
    if not digest:
        return {}
    answer = _ask(repository, authorization, lambda client: client.get(digest, kind="blobs"))
    if digest_of(answer.body) != digest:
        raise RegistryUnavailable(f"the registry answers {answer.status} for {repository}@{digest}")
    config = answer.table().get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def put_manifest(repository: str, tag: str, manifest: Manifest, authorization: str) -> None:
    """Tags an image that is in the repository already. Raises RegistryUnavailable."""
    answer = _ask(
        repository, authorization, lambda client: client.put(tag, manifest.media_type, manifest.body)
    )
    if answer.status != 201:
        raise RegistryUnavailable(f"the registry answers {answer.status} to the tag {repository}:{tag}")


def _manifest(repository: str, answer: Answer) -> Manifest:
    found = Manifest(answer.headers.get("content-type", ""), answer.body)
    if answer.status != 200 or not answer.table():
        raise RegistryUnavailable(f"the registry answers {answer.status} for {repository}")
    return found


def _ask(
    repository: str, authorization: str, act: Callable[[OciClient], Answer], *, tries: int = _TRIES
) -> Answer:
    """Returns the registry's answer; a refused login is its 401."""
    host, name = split_host(repository)
    with HttpClient() as http:
        client = OciClient(
            http,
            Repository(_origin(host), name),
            authorization=authorization,
            may_ask=_may_ask,
            tries=tries,
            token_tries=_TRIES,
        )
        try:
            return act(client)
        except InsecureRedirect as redirect:
            return redirect.answer
        except LoginFailed as error:
            if error.failure in (LoginFailure.REFUSED, LoginFailure.NO_TOKEN):
                return error.refusal
            raise RegistryUnavailable(
                f"the registry asks for an unsupported login: {error.challenge[:100]!r}"
            ) from None


def _origin(host: str) -> str:
    name = api_host(host)
    return f"http://{name}" if is_loopback(name) else f"https://{name}"


def _may_ask(realm: str) -> bool:
    try:
        parts = urlsplit(realm)
    except ValueError:
        return False
    return parts.scheme == "https" or is_loopback(parts.netloc)
