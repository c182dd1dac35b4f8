"""Image references and the names of a release's images. In: text. Out: `Image` values and tags. Never asks a
registry.

The runner and the server both derive names here, so that a tag pushed by one is the tag the other looks for.
Reference grammar: https://github.com/distribution/reference (repository lower-case, digest `sha256:` + 64
hex).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from posixpath import basename, dirname

from deployer.core.errors import PayloadRejected

REVISION = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
MAX_REFERENCE = 512
DEFAULT_HOST = "docker.io"


# File names that Compose looks for by itself, in its order.
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_HASH = 8
# Eight hex digits may be another folder's hash.
_PLAIN = re.compile(rf"(?![0-9a-f]{{{_HASH}}}$)[a-z0-9]+")
_ODD = re.compile(r"[^a-z0-9]+")
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True)
class Image:
    """Image by content: `repository` with its host, `digest` as `sha256:…`."""

    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"

    @property
    def short(self) -> str:
        """Returns the digest's first 12 hex digits, for persons."""
        return self.digest.removeprefix("sha256:")[:12]


def parse_image(text: object) -> Image:
    """Parses `repository@sha256:…`; a tag before the digest is dropped. Raises PayloadRejected."""
    if not isinstance(text, str) or len(text) > MAX_REFERENCE:
        raise PayloadRejected("an image must be text of the form repository@sha256:<64 hex>")
    name, _, digest = text.partition("@")
    repository, _ = split_tag(name)
    if not _REPOSITORY.fullmatch(repository) or not DIGEST.fullmatch(digest):
        raise PayloadRejected(
            f"not an image by digest: {text!r}",
            hint="send repository@sha256:<64 hex>; tags can move after the test",
        )
    return Image(repository, digest)


def split_tag(name: str) -> tuple[str, str]:
    """Splits `host:5000/a/b:tag` into (`host:5000/a/b`, `tag`); the tag is empty if there is none."""
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}{slash}{last}", tag


def split_host(repository: str) -> tuple[str, str]:
    """Splits `ghcr.io/acme/web` into (`ghcr.io`, `acme/web`); a first part without dot, port or `localhost`
    is Docker Hub's.
    """
    first, slash, rest = repository.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return first, rest
    return DEFAULT_HOST, repository if slash else f"library/{repository}"


def revision_tag(revision: str) -> str:
    """Returns the immutable tag of a revision's images: `sha-` + all 40 digits (seven can collide)."""
    return f"sha-{revision}"


def is_repository(text: str) -> bool:
    """True if `text` can name an image repository, with its host."""
    return len(text) <= MAX_REFERENCE and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """True if a registry would accept `text` as a tag."""
    return _TAG.fullmatch(text) is not None


def repository_of(service: str, image: str, *, registry: str, source: str, compose: str) -> str:
    """Returns the image repository of a built service: the Compose `image:` without its tag, else
    `registry/owner/repo-service`, with the folder of a Compose file that is not at the repository's top.
    """
    named = (
        split_tag(image.partition("@")[0])[0] if image else f"{registry}/{source}-{_own(service, compose)}"
    )
    repository = named.lower()
    if not _REPOSITORY.fullmatch(repository):
        raise PayloadRejected(f"service {service}: {named!r} is not an image repository")
    return repository


def _own(service: str, compose: str) -> str:
    """Returns the part of the repository's name that is unique among all services of all Compose files of the
    repository.

    `apps/shop/compose.yaml` and `web` give `apps-shop-web`. A hash follows the folder if the hyphens would no
    longer show which part is a folder and which a service: `a/b` with `c`, `a` with `b-c`, `a-b` with `c`.
    """
    folder, file = dirname(compose), basename(compose)
    if not folder and file in COMPOSE_FILES:
        return service
    place = folder if file in COMPOSE_FILES else compose
    parts = place.split("/")
    plain = file in COMPOSE_FILES and all(map(_PLAIN.fullmatch, (*parts, service)))
    slug = _ODD.sub("-", "-".join(parts).lower()).strip("-")
    if plain:
        return f"{slug}-{service}"
    digest = hashlib.sha256(f"{place}\n{service}".encode()).hexdigest()[:_HASH]
    return "-".join(filter(None, (slug, digest, service)))


def canonical(reference: str) -> str:
    """Returns the repository that a reference names, in one spelling: `acme/app:1` is
    `docker.io/acme/app`.
    """
    named, _ = split_tag(reference.partition("@")[0].lower())
    host, path = split_host(named)
    if host in _HUB_NAMES:
        host, path = DEFAULT_HOST, path if "/" in path else f"library/{path}"
    return f"{host}/{path}"
