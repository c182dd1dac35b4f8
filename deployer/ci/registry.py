"""The registry's HTTP API, as far as a proof needs it. In: image, login. Out: the manifest, digest checked.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from deployer.ci.client import Answer, call
from deployer.ci.context import is_loopback
from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.images import DEFAULT_HOST, Image, split_host

_TRIES = 3
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
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def fetch_manifest(image: Image, authorization: str) -> dict[str, Any]:
    """The manifest of `image` as the registry has it. Raises ImageNotFound or RegistryUnavailable."""
    host, path = split_host(image.repository)
    url = f"{_origin(host)}/v2/{path}/manifests/{image.digest}"
    answer = call("GET", url, headers={"Accept": _ACCEPT}, tries=_TRIES)
    if answer.status == 401:
        bearer = _authorize(answer.headers.get("www-authenticate", ""), path, authorization)
        answer = call("GET", url, headers={"Accept": _ACCEPT, "Authorization": bearer}, tries=_TRIES)
    return _checked(image, answer)


def _origin(host: str) -> str:
    name = _HUB if host == DEFAULT_HOST else host
    return f"http://{name}" if is_loopback(name) else f"https://{name}"


def _authorize(challenge: str, path: str, authorization: str) -> str:
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and authorization:
        return authorization
    parameters = dict(_PARAMETER.findall(rest))
    realm = urlsplit(parameters.get("realm", ""))
    if scheme.lower() != "bearer" or not (realm.scheme == "https" or is_loopback(realm.netloc)):
        raise RegistryUnavailable(f"the registry asks for a login that cannot be given: {challenge[:100]!r}")
    query = urlencode({"service": parameters.get("service", ""), "scope": f"repository:{path}:pull"})
    headers = {"Authorization": authorization} if authorization else {}
    answer = call("GET", f"{realm.geturl()}?{query}", headers=headers, tries=_TRIES).table()
    return f"Bearer {answer.get('token') or answer.get('access_token') or ''}"


def _checked(image: Image, answer: Answer) -> dict[str, Any]:
    if answer.status in (401, 403, 404):
        raise ImageNotFound(
            f"the registry answers {answer.status} for {image}",
            hint="either the image is not there or this login may not read it",
        )
    if answer.status != 200:
        raise RegistryUnavailable(f"the registry answers {answer.status} for {image}")
    if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != image.digest:
        raise RegistryUnavailable(f"the registry sent other bytes than {image}")
    return dict(json.loads(answer.body))


def config_digest(manifest: Mapping[str, Any]) -> str:
    """The image id that a single-platform manifest names, empty for an index."""
    return str((manifest.get("config") or {}).get("digest", ""))
