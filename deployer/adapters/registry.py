"""Image registries, as the OCI distribution specification has them. In: names and logins. Out: digests.

The protocol: HEAD and GET /v2/NAME/manifests/REFERENCE, with a bearer token from the realm that a 401 names.
A login goes only to the registry it was made for, and never in clear except on this machine. Never pulls,
never pushes, never decides which image is wanted.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from deployer.core.errors import ImageNotFound, PayloadRejected, RegistryUnavailable
from deployer.core.image_config import ImageConfig, parse_image_config
from deployer.core.images import DEFAULT_HOST, Image, split_host
from deployer.core.model import Credentials
from deployer.core.strict_json import parse_object

# A registry answers 404 for an image whose type is not listed.
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_MAX_BYTES = 4 * 1024 * 1024  # the specification's limit for a manifest
_MAX_MOVES = 3
_KNOWN = 64  # images whose layers are remembered
_MOVED = (301, 302, 303, 307, 308)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCKER_HUB = "registry-1.docker.io"
_DENIED = "registries answer both alike: push it, or give a login that may read it (GHCR: a classic token)"


@dataclass(frozen=True)
class _Place:
    """One repository on one registry. `host` is asked, `names` are what a login for it may say."""

    repository: str
    host: str
    name: str
    names: tuple[str, ...]

    @property
    def local(self) -> bool:
        return _is_local(urlsplit(f"//{self.host}").hostname)

    def url(self, reference: str, kind: str = "manifests") -> str:
        scheme = "http" if self.local else "https"
        return f"{scheme}://{self.host}/v2/{quote(self.name)}/{kind}/{quote(reference, safe=':')}"

    def login(self, *logins: Credentials | None) -> Credentials | None:
        """The first login that was made for this registry."""
        return next((login for login in logins if login and login.host in self.names), None)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Proof(AuthBase):
    """Sets or leaves out `Authorization`; being there at all, it keeps a machine's netrc file out of it."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class OciRegistry:
    """Every registry that speaks the distribution API. `login` is the server's own, for one of them."""

    def __init__(self, login: Credentials | None = None, *, timeout: float = 10.0) -> None:
        self._login = login
        self._timeout = timeout
        self._layers: dict[Image, dict[str, int]] = {}
        self._configs: dict[Image, ImageConfig] = {}

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        """The digest that `tag` has now: the index's where there are several platforms."""
        place = _place(repository)
        answer = self._ask(place, "HEAD", tag, credentials)
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == 405 or not _DIGEST.fullmatch(digest):
            _, digest = self._manifest(place, tag, credentials)
        return Image(repository, digest)

    def config_digest(self, image: Image, credentials: Credentials | None) -> str:
        """The digest of the image's configuration, for this machine's platform where there are several."""
        place = _place(image.repository)
        config = self._of_this_machine(place, image, credentials).get("config")
        digest = config.get("digest") if isinstance(config, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise RegistryUnavailable(f"{place.host}: the manifest of {image} names no configuration")
        return digest

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        """The configuration's blob, whose bytes have been checked against their digest; asked for once."""
        if image not in self._configs:
            place, digest = _place(image.repository), self.config_digest(image, credentials)
            answer = self._ask(place, "GET", digest, credentials, kind="blobs")
            if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
                raise RegistryUnavailable(
                    f"{place.host}: the configuration of {image} does not have its digest"
                )
            config = _object(place, answer.body).get("config")
            self._configs[image] = parse_image_config(config if isinstance(config, dict) else {})
            for oldest in list(self._configs)[:-_KNOWN]:
                self._configs.pop(oldest, None)
        return self._configs[image]

    def layers(self, image: Image, credentials: Credentials | None) -> dict[str, int]:
        """Layer's digest → its compressed size, for this machine's platform; asked for once: a digest never
        changes.
        """
        if image in self._layers:
            return self._layers[image]
        place = _place(image.repository)
        found = self._of_this_machine(place, image, credentials).get("layers")
        tables = [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []
        self._layers[image] = {
            str(table.get("digest")): size for table in tables if isinstance(size := table.get("size"), int)
        }
        for oldest in list(self._layers)[:-_KNOWN]:
            self._layers.pop(oldest, None)
        return self._layers[image]

    def _of_this_machine(
        self, place: _Place, image: Image, credentials: Credentials | None
    ) -> dict[str, Any]:
        manifest, _ = self._manifest(place, image.digest, credentials)
        if "manifests" in manifest:
            manifest, _ = self._manifest(place, _choose(manifest["manifests"], image), credentials)
        return manifest

    def _manifest(
        self, place: _Place, reference: str, credentials: Credentials | None
    ) -> tuple[dict[str, Any], str]:
        """A manifest and its digest, which its bytes have been checked against."""
        answer = self._ask(place, "GET", reference, credentials)
        if answer.status != 200:
            raise _refused(place, reference, answer.status)
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        claimed = answer.headers.get("Docker-Content-Digest", digest)
        if digest != (reference if _DIGEST.fullmatch(reference) else claimed):
            raise RegistryUnavailable(f"{place.host}: the manifest of {place.name} does not have its digest")
        return _object(place, answer.body), digest

    def _ask(
        self,
        place: _Place,
        method: str,
        reference: str,
        credentials: Credentials | None,
        kind: str = "manifests",
    ) -> _Answer:
        """One request for a manifest or a blob, with a login where it is asked for; answers 200 or 405."""
        with requests.Session() as session:
            session.trust_env = not place.local  # a proxy has no business on this machine
            wire = _Wire(session, place, self._timeout)
            answer = wire.send(method, place.url(reference, kind), _Proof())
            if answer.status == 401:
                challenge = answer.headers.get("WWW-Authenticate", "")
                proof = wire.prove(challenge, place.login(credentials, self._login))
                answer = wire.send(method, place.url(reference, kind), proof)
        if answer.status not in (200, 405):
            raise _refused(place, reference, answer.status)
        return answer


class _Wire:
    """HTTP with one registry, bounded in time and size."""

    def __init__(self, session: requests.Session, place: _Place, timeout: float) -> None:
        self._session = session
        self._place = place
        self._timeout = timeout

    def send(self, method: str, url: str, proof: _Proof, moves: int = _MAX_MOVES) -> _Answer:
        """Follows a registry that moved a manifest; the proof stays with the host that asked for it."""
        answer = self._once(method, url, proof)
        where = answer.headers.get("Location")
        if answer.status not in _MOVED or not where or not moves:
            return answer
        target = urljoin(url, where)
        if _origin(target) != _origin(url):
            if urlsplit(target).scheme != "https":
                raise RegistryUnavailable(f"{self._place.host} points to another host without TLS")
            proof = _Proof()
        return self.send(method, target, proof, moves - 1)

    def prove(self, challenge: str, login: Credentials | None) -> _Proof:
        """What the registry asked for in its 401."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return _basic(login)
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.get("realm", "")
        if scheme.lower() != "bearer" or not self._may_ask(realm):
            raise RegistryUnavailable(f"{self._place.host} asks for a login in a way that is not supported")
        query = {"service": asked.get("service", ""), "scope": f"repository:{self._place.name}:pull"}
        answer = self._once("GET", realm, _basic(login), query)
        if answer.status != 200:
            raise _refused(self._place, "", answer.status)
        body = _object(self._place, answer.body)
        token = body.get("token") or body.get("access_token")
        if not isinstance(token, str):
            raise RegistryUnavailable(f"{self._place.host} gave no token")
        return _Proof(f"Bearer {token}")

    def _may_ask(self, realm: str) -> bool:
        parts = urlsplit(realm)
        on_this_machine = self._place.local and _is_local(parts.hostname)
        return parts.scheme == "https" or (parts.scheme == "http" and on_this_machine)

    def _once(self, method: str, url: str, proof: _Proof, query: Mapping[str, str] | None = None) -> _Answer:
        try:
            with self._session.request(
                method,
                url,
                params=query,
                headers={"User-Agent": "deployer", "Accept": "application/json" if query else _ACCEPT},
                auth=proof,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return _Answer(answer.status_code, answer.headers, self._read(answer))
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            # Only the kind of failure: a library's text may quote what was sent.
            raise _unreachable(self._place, type(error).__name__) from None

    def _read(self, answer: requests.Response) -> bytes:
        end, body = time.monotonic() + self._timeout, bytearray()
        # read1 gives what has come; read would wait for a full block from a host that drips.
        while part := answer.raw.read1(65_536, decode_content=True):
            body += part
            if len(body) > _MAX_BYTES or time.monotonic() > end:
                raise _unreachable(self._place, "its answer is too long or too slow")
        return bytes(body)


def _place(repository: str) -> _Place:
    host, name = split_host(repository)
    if host == DEFAULT_HOST:
        return _Place(repository, _DOCKER_HUB, name, (DEFAULT_HOST, "index.docker.io", _DOCKER_HUB))
    return _Place(repository, host, name, (host,))


def _basic(login: Credentials | None) -> _Proof:
    if login is None:
        return _Proof()
    return _Proof("Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode())


def _choose(manifests: object, image: Image) -> str:
    """The digest of an index's entry for this machine, or else for linux/amd64."""
    own = _MACHINES.get(platform.machine(), platform.machine())
    entries = [item for item in manifests if isinstance(item, dict)] if isinstance(manifests, list) else []
    for wanted in (own, "amd64"):
        for entry in entries:
            runs_on = entry.get("platform")
            runs_on = runs_on if isinstance(runs_on, dict) else {}
            if (runs_on.get("os"), runs_on.get("architecture")) == ("linux", wanted):
                return str(entry.get("digest"))
    raise ImageNotFound(f"{image} has no image for linux/{own}", hint=f"build it for linux/{own}")


def _object(place: _Place, raw: bytes) -> dict[str, Any]:
    try:
        return parse_object(raw)
    except PayloadRejected as error:
        raise RegistryUnavailable(f"{place.host} answered something else than JSON: {error}") from None


def _is_local(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _refused(place: _Place, reference: str, status: int) -> ImageNotFound | RegistryUnavailable:
    if status in (401, 403, 404):
        sign = "@" if _DIGEST.fullmatch(reference) else ":"
        wanted = f"{place.repository}{sign}{reference}" if reference else place.repository
        return ImageNotFound(f"{place.host} has no {wanted}, or this account may not read it", hint=_DENIED)
    if status == 429:
        hint = "wait, or log in: an account has a higher limit"
        return RegistryUnavailable(f"{place.host} asks to slow down (429)", hint=hint)
    return RegistryUnavailable(
        f"{place.host} answered {status}", hint="try again, or look at its status page"
    )


def _unreachable(place: _Place, kind: str) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"{place.host} cannot be reached: {kind}", hint="is the name right, the network up?"
    )
