"""Client for the registry's HTTP API, as far as a proof and a tag need it. In: names, login. Out: manifests
with checked digests.

Tags an image by sending its manifest's own bytes again: its digest stays, and no layer is transferred.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.images import DEFAULT_HOST, Image, split_host
from deployer.io.http_client import Answer, call
from deployer.io.http_connections import is_loopback

_TRIES = 3
_MOVED = (301, 302, 303, 307, 308)
_ABSENT = (401, 403, 404)
_HUB = "registry-1.docker.io"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def basic(username: str, password: str) -> str:
    """Returns the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True)
class Manifest:
    """An image's manifest as the registry stores it: the bytes that its digest is computed from."""

    media_type: str
    body: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    @property
    def config_digest(self) -> str:
        """The image id that a single-platform manifest names, empty for an index."""
        config = json.loads(self.body).get("config")
        return str(config.get("digest", "")) if isinstance(config, dict) else ""


def fetch_manifest(image: Image, authorization: str) -> Manifest:
    """Returns the manifest of `image` from the registry. Raises ImageNotFound or RegistryUnavailable."""
    answer = _ask("GET", image.repository, image.digest, authorization)
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
    answer = _ask("GET", repository, tag, authorization, tries=tries)
    return None if answer.status in _ABSENT else _manifest(repository, answer)


def fetch_labels(repository: str, manifest: Manifest, authorization: str) -> dict[str, str]:
    """Returns the labels of the image that a manifest of one platform names; none for an index. Raises
    RegistryUnavailable.
    """
    digest = manifest.config_digest
    if not digest:
        return {}
    answer = _ask("GET", repository, digest, authorization, kind="blobs")
    where = answer.headers.get("location", "")
    if answer.status in _MOVED and where.startswith(
        "https://"
    ):  # a registry's storage, with a login in the URL
        answer = call("GET", where, headers={}, tries=_TRIES)
    if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
        raise RegistryUnavailable(f"the registry answers {answer.status} for {repository}@{digest}")
    config = answer.table().get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def put_manifest(repository: str, tag: str, manifest: Manifest, authorization: str) -> None:
    """Tags an image that is in the repository already. Raises RegistryUnavailable."""
    answer = _ask("PUT", repository, tag, authorization, manifest)
    if answer.status != 201:
        raise RegistryUnavailable(f"the registry answers {answer.status} to the tag {repository}:{tag}")


def _manifest(repository: str, answer: Answer) -> Manifest:
    found = Manifest(answer.headers.get("content-type", ""), answer.body)
    if answer.status != 200 or not answer.table():
        raise RegistryUnavailable(f"the registry answers {answer.status} for {repository}")
    return found


def _ask(
    method: str,
    repository: str,
    reference: str,
    authorization: str,
    manifest: Manifest | None = None,
    *,
    tries: int = _TRIES,
    kind: str = "manifests",
) -> Answer:
    host, path = split_host(repository)
    url = f"{_origin(host)}/v2/{path}/{kind}/{reference}"
    headers = {"Content-Type": manifest.media_type} if manifest else {"Accept": _ACCEPT}
    body = manifest.body if manifest else None
    answer = call(method, url, headers=headers, body=body, tries=tries)
    if answer.status != 401:
        return answer
    scope = f"repository:{path}:{'pull,push' if manifest else 'pull'}"
    bearer = _authorize(answer.headers.get("www-authenticate", ""), scope, authorization)
    return call(method, url, headers={**headers, "Authorization": bearer}, body=body, tries=tries)


def _origin(host: str) -> str:
    name = _HUB if host == DEFAULT_HOST else host
    return f"http://{name}" if is_loopback(name) else f"https://{name}"


def _authorize(challenge: str, scope: str, authorization: str) -> str:
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and authorization:
        return authorization
    parameters = dict(_PARAMETER.findall(rest))
    try:
        realm = urlsplit(parameters.get("realm", ""))
    except ValueError:
        realm = urlsplit("")
    if scheme.lower() != "bearer" or not (realm.scheme == "https" or is_loopback(realm.netloc)):
        raise RegistryUnavailable(f"the registry asks for an unsupported login: {challenge[:100]!r}")
    query = urlencode({"service": parameters.get("service", ""), "scope": scope})
    headers = {"Authorization": authorization} if authorization else {}
    answer = call("GET", f"{realm.geturl()}?{query}", headers=headers, tries=_TRIES).table()
    return f"Bearer {answer.get('token') or answer.get('access_token') or ''}"
