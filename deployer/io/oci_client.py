"""Client for the HTTP API of OCI registries. In: a repository, a login, a policy for connections and for
realms. Out: answers; a login that fails is LoginFailed. Never decides which image is wanted.

The protocol: /v2/NAME/manifests/REFERENCE and /v2/NAME/blobs/DIGEST, with a bearer token from the realm that
a 401 names. The login goes to the registry or its realm, and not to the host of a redirect.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote, urldefrag, urlencode, urlsplit

from deployer.core.errors import PayloadRejected
from deployer.core.http.strict_json import parse_object
from deployer.core.images import DEFAULT_HOST
from deployer.io.http_client import Answer, Fault, HttpClient, ServerUnavailable, redirect_target

DOCKER_HUB = "registry-1.docker.io"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_MAX_BYTES = 4 * 1024 * 1024  # the specification's limit for a manifest
_MAX_MOVES = 3
# A registry answers 404 for an image whose type is not listed.
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


def digest_of(content: bytes) -> str:
    """Returns the digest by which a registry names this content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def api_host(host: str) -> str:
    """Returns the host that receives the requests for images of `host`: Docker Hub has another one."""
    return DOCKER_HUB if host == DEFAULT_HOST else host


class LoginFailure(Enum):
    """Kind of a failed login: the registry demands another kind, there is none, its realm refuses it, or
    gives no token.
    """

    UNSUPPORTED = auto()
    MISSING = auto()
    REFUSED = auto()
    NO_TOKEN = auto()


class LoginFailed(Exception):
    """A registry demands a login, and it failed. `refusal` is its 401, `answer` the last answer: the realm's
    if it was asked.
    """

    def __init__(self, failure: LoginFailure, refusal: Answer, answer: Answer | None = None) -> None:
        super().__init__(failure.name)
        self.failure = failure
        self.refusal = refusal
        self.answer = answer or refusal

    @property
    def challenge(self) -> str:
        """The kind of login that the registry demands, empty if it names none."""
        return challenge_of(self.refusal)


class InsecureRedirect(Exception):
    """A registry redirects to another host without TLS; `answer` is the redirect."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def challenge_of(refusal: Answer) -> str:
    """Returns the challenge of a 401."""
    return refusal.headers.get("www-authenticate", "")


@dataclass(frozen=True)
class Repository:
    """Address of a repository: the origin of the registry's API, such as `https://ghcr.io`, and the name
    there.
    """

    origin: str
    name: str

    def url(self, kind: str, reference: str) -> str:
        """Returns the address of a manifest or a blob."""
        return f"{self.origin}/v2/{quote(self.name)}/{kind}/{quote(reference, safe=':')}"


class OciClient:
    """Client of one repository. `authorization`: the login, as a header's value; `may_ask`: True if a realm
    may be asked for a token; `tries`: requests in all to a registry that fails, `token_tries` to its realm.
    """

    def __init__(
        self,
        http: HttpClient,
        repository: Repository,
        *,
        authorization: str,
        may_ask: Callable[[str], bool],
        tries: int = 1,
        token_tries: int = 1,
    ) -> None:
        self._http = http
        self._repository = repository
        self._authorization = authorization
        self._may_ask = may_ask
        self._tries = tries
        self._token_tries = token_tries

    def get(self, reference: str, *, kind: str = "manifests", method: str = "GET") -> Answer:
        """Returns the answer for a manifest or a blob, redirects followed. Raises LoginFailed,
        InsecureRedirect, ServerUnavailable, AddressRefused.
        """
        url, headers = self._repository.url(kind, reference), {"Accept": _ACCEPT}
        answer = self._follow(method, url, headers, _MAX_MOVES)
        if answer.status != 401:
            return answer
        return self._follow(method, url, {**headers, **self._prove(answer, "pull")}, _MAX_MOVES)

    def put(self, reference: str, media_type: str, manifest: bytes) -> Answer:
        """Sends a manifest and returns the answer. Raises as `get` does."""
        url, headers = self._repository.url("manifests", reference), {"Content-Type": media_type}
        answer = self._call("PUT", url, headers, manifest)
        if answer.status != 401:
            return answer
        return self._call("PUT", url, {**headers, **self._prove(answer, "pull,push")}, manifest)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], moves: int) -> Answer:
        """Sends a request and follows redirects; the login stays with the host that demanded it."""
        answer = self._call(method, url, headers)
        target = _target(answer, url) if moves else ""
        if not target:
            return answer
        if _origin(target) != _origin(url):
            if urlsplit(target).scheme != "https":
                raise InsecureRedirect(answer)
            headers = {name: value for name, value in headers.items() if name != "Authorization"}
        return self._follow(method, target, headers, moves - 1)

    def _prove(self, refusal: Answer, actions: str) -> dict[str, str]:
        """Returns the header with the login that a 401 demands. Raises LoginFailed."""
        scheme, _, rest = challenge_of(refusal).partition(" ")
        if scheme.lower() == "basic":
            if not self._authorization:
                raise LoginFailed(LoginFailure.MISSING, refusal)
            return {"Authorization": self._authorization}
        demanded = dict(reversed(_PARAMETER.findall(rest)))  # of a second challenge, nothing is taken
        realm = demanded.get("realm", "")
        if scheme.lower() != "bearer" or not self._may_ask(realm):
            raise LoginFailed(LoginFailure.UNSUPPORTED, refusal)
        scope = f"repository:{self._repository.name}:{actions}"
        return {"Authorization": f"Bearer {self._token(realm, demanded.get('service', ''), scope, refusal)}"}

    def _token(self, realm: str, service: str, scope: str, refusal: Answer) -> str:
        """Fetches a token from the realm; its redirects are not followed, as the request has the login."""
        address, query = urldefrag(realm).url, urlencode({"service": service, "scope": scope})
        url = f"{address}{'&' if urlsplit(address).query else '?'}{query}"
        headers = {"Accept": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        answer = self._call("GET", url, headers, tries=self._token_tries)
        if answer.status != 200:
            raise LoginFailed(LoginFailure.REFUSED, refusal, answer)
        try:
            body = parse_object(answer.body)
        except PayloadRejected:
            body = {}
        token = body.get("token") or body.get("access_token")
        if not isinstance(token, str):
            raise LoginFailed(LoginFailure.NO_TOKEN, refusal, answer)
        return token

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, tries: int = 0
    ) -> Answer:
        answer = self._http.call(
            method, url, headers=headers, body=body, tries=tries or self._tries, most=_MAX_BYTES + 1
        )
        if len(answer.body) > _MAX_BYTES:
            server = urlsplit(url).netloc
            raise ServerUnavailable(f"{server} does not answer: {Fault.LONG}", fault=Fault.LONG)
        return answer


def _target(answer: Answer, url: str) -> str:
    """Returns a redirect's address, empty for any other answer and for an address that nothing can follow."""
    try:
        return redirect_target(answer.status, answer.headers.get("location"), url)
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
