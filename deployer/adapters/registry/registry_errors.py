"""HTTP with one image registry. In: a registry address, a login, a URL. Out: answers, bounded in time and
size; refusals become errors. Never decides anything about images.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from deployer.adapters.registry.connection_policy import InsideAddress
from deployer.core.errors import ImageNotFound, PayloadRejected, RegistryRefused, RegistryUnavailable
from deployer.core.http.strict_json import parse_object
from deployer.core.model import Credentials
from deployer.core.registry_hosts import may_ask_realm

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
_MOVED = (301, 302, 303, 307, 308)
_CODE = re.compile(r"[A-Z_]{3,40}")  # of an error, such as MANIFEST_UNKNOWN
_DENIED = "a registry does not tell which: push it, or give a login that may read it (GHCR: a classic token)"


@dataclass(frozen=True)
class RegistryAddress:
    """Address of one repository on one registry. `host` receives the requests, `names` are the hosts that a
    login for it may name.
    """

    repository: str
    host: str
    name: str
    names: tuple[str, ...]
    plain: bool = False  # requests go without TLS
    inside: bool = False  # it may lie on this machine or in its network

    def url(self, reference: str, kind: str = "manifests") -> str:
        scheme = "http" if self.plain else "https"
        return f"{scheme}://{self.host}/v2/{quote(self.name)}/{kind}/{quote(reference, safe=':')}"

    def login(self, login: Credentials | None) -> Credentials | None:
        """Returns the login if it was made for this registry."""
        return login if login and login.host in self.names else None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Proof(AuthBase):
    """Sets or omits `Authorization`; its mere presence keeps a machine's netrc file out of the request."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class Wire:
    """HTTP client of one registry, bounded in time and size."""

    def __init__(self, session: requests.Session, address: RegistryAddress, timeout: float) -> None:
        self._session = session
        self._address = address
        self._timeout = timeout

    def send(self, method: str, url: str, proof: Proof, moves: int = _MAX_MOVES) -> Answer:
        """Sends a request and follows redirects; the login stays with the host that demanded it."""
        answer = self._once(method, url, proof)
        where = answer.headers.get("Location")
        if answer.status not in _MOVED or not where or not moves:
            return answer
        target = urljoin(url, where)
        if _origin(target) != _origin(url):
            if urlsplit(target).scheme != "https":
                raise RegistryUnavailable(f"{self._address.host} points to another host without TLS")
            proof = Proof()
        return self.send(method, target, proof, moves - 1)

    def prove(self, refusal: Answer, login: Credentials | None) -> Proof:
        """Returns the login that a 401 demands. Raises ImageNotFound if it demands none."""
        scheme, _, rest = refusal.headers.get("WWW-Authenticate", "").partition(" ")
        if not scheme:
            raise refused(self._address, "", refusal)
        if scheme.lower() == "basic":
            return _basic(login)
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.get("realm", "")
        if scheme.lower() != "bearer" or not may_ask_realm(
            realm, self._address.host, plain=self._address.plain
        ):
            raise RegistryUnavailable(f"{self._address.host} asks for a login in a way that is not supported")
        query = {"service": asked.get("service", ""), "scope": f"repository:{self._address.name}:pull"}
        answer = self._once("GET", realm, _basic(login), query)
        if answer.status != 200:
            raise refused(self._address, "", answer)
        body = read_object(self._address, answer.body)
        token = body.get("token") or body.get("access_token")
        if not isinstance(token, str):
            raise RegistryUnavailable(f"{self._address.host} gave no token")
        return Proof(f"Bearer {token}")

    def _once(self, method: str, url: str, proof: Proof, query: Mapping[str, str] | None = None) -> Answer:
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
                return Answer(answer.status_code, answer.headers, self._read(answer))
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            if isinstance(_cause(error), InsideAddress):
                raise leads_inside(urlsplit(url).netloc) from None
            # Only the kind of failure: a library's text may quote the request.
            raise _unreachable(self._address, type(error).__name__) from None

    def _read(self, answer: requests.Response) -> bytes:
        end, body = time.monotonic() + self._timeout, bytearray()
        # read1 returns the bytes that have arrived; read would wait for a full block from a host that drips.
        while part := answer.raw.read1(65_536, decode_content=True):
            body += part
            if len(body) > _MAX_BYTES or time.monotonic() > end:
                raise _unreachable(self._address, "its answer is too long or too slow")
        return bytes(body)


def _cause(error: Exception) -> object:
    """Returns the cause of a failed connection out of the library's wrapper."""
    return getattr(next(iter(error.args), None), "reason", None)


def leads_inside(host: str) -> RegistryRefused:
    return RegistryRefused(
        f"the registry {host} leads to this server or its network",
        hint="registry.host, or images or other-images of the app, may name such a registry in full",
    )


def _basic(login: Credentials | None) -> Proof:
    if login is None:
        return Proof()
    return Proof("Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode())


def read_object(address: RegistryAddress, raw: bytes) -> dict[str, Any]:
    try:
        return parse_object(raw)
    except PayloadRejected as error:
        raise RegistryUnavailable(f"{address.host} answered something else than JSON: {error}") from None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def refused(address: RegistryAddress, reference: str, answer: Answer) -> ImageNotFound | RegistryUnavailable:
    """Returns the error for an unsuccessful answer, with the registry's own code."""
    code = _code_of(answer)
    if answer.status in (401, 403, 404):
        sign = "@" if _DIGEST.fullmatch(reference) else ":"
        wanted = f"{address.repository}{sign}{reference}" if reference else address.repository
        text = f"{address.host} has no {wanted}, or this account may not read it{code}"
        return ImageNotFound(text, hint=_DENIED)
    if answer.status == 429:
        hint = "wait, or log in: an account has a higher limit"
        return RegistryUnavailable(f"{address.host} asks to slow down (429){code}", hint=hint)
    return RegistryUnavailable(
        f"{address.host} answered {answer.status}{code}", hint="try again, or look at its status page"
    )


def _code_of(answer: Answer) -> str:
    """Returns `: manifest unknown` from an error's body as the distribution specification has it,
    or empty.
    """
    try:
        errors = parse_object(answer.body).get("errors")
    except PayloadRejected:
        return ""
    first = errors[0] if isinstance(errors, list) and errors else {}
    code = first.get("code") if isinstance(first, dict) else None
    known = isinstance(code, str) and _CODE.fullmatch(code)
    return f": {str(code).lower().replace('_', ' ')}" if known else ""


def _unreachable(address: RegistryAddress, kind: str) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"{address.host} cannot be reached: {kind}", hint="is the name right, the network up?"
    )
