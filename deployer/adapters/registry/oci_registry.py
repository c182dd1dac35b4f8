"""Image registries, as the OCI distribution specification has them. In: names and logins. Out: digests. Never
pulls, never pushes, never decides which image is wanted.

The protocol: HEAD and GET /v2/NAME/manifests/REFERENCE, with a bearer token from the realm that a 401 names.
A login goes only to the registry it was made for. Plain HTTP is for registries on this machine that the
settings name; no other name, realm or redirect leads to this machine or into its network.
"""

from __future__ import annotations

import platform
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from deployer.adapters.registry.connection_policy import addresses_of, open_client
from deployer.adapters.registry.registry_errors import (
    RegistryAddress,
    in_words,
    leads_inside,
    read_object,
    refused,
)
from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig, parse_image_config
from deployer.core.images import DEFAULT_HOST, DIGEST, Image, split_host
from deployer.core.model import Credentials
from deployer.core.registry_hosts import is_inside, is_loopback, may_ask_realm, read_address, split_url
from deployer.io.http_client import Answer
from deployer.io.oci_client import DOCKER_HUB, OciClient, basic, digest_of

_KNOWN = 64  # images with cached layers
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


_Seen = tuple[Image, Credentials | None]


class OciRegistry:
    """Client of every registry that speaks the distribution API. `host` is the configured one; `named` are
    others that the settings name in full. These may lie on this machine or in its network. Cached answers are
    kept per login.
    """

    def __init__(self, *, host: str, named: Collection[str] = (), timeout: float = 10.0) -> None:
        self._host = host
        self._named = frozenset(named)
        self._timeout = timeout
        self._layers: dict[_Seen, dict[str, int]] = {}
        self._configs: dict[_Seen, ImageConfig] = {}

    def judge(self, repository: str) -> None:
        """Raises RegistryRefused for a registry that the engine must not contact either."""
        address = self._address(repository)
        found = [] if address.inside else addresses_of(urlsplit(f"//{address.host}").hostname or "")
        if found and all(map(is_inside, found)):
            raise leads_inside(address.host)

    def require(self, image: Image, credentials: Credentials | None) -> None:
        """Raises ImageNotFound unless the registry shows the image to this login; never cached."""
        self._ask(self._address(image.repository), "HEAD", image.digest, credentials)

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        """Returns the digest that `tag` has now: the index's if there are several platforms."""
        address = self._address(repository)
        answer = self._ask(address, "HEAD", tag, credentials)
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 405 or not DIGEST.fullmatch(digest):
            _, digest = self._manifest(address, tag, credentials)
        return Image(repository, digest)

    def config_digest(self, image: Image, credentials: Credentials | None) -> str:
        """Returns the digest of the image's configuration, for this machine's platform if there
        are several.
        """
        address = self._address(image.repository)
        config = self._of_this_machine(address, image, credentials).get("config")
        digest = config.get("digest") if isinstance(config, dict) else None
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise RegistryUnavailable(f"{address.host}: the manifest of {image} names no configuration")
        return digest

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        """Returns the configuration from its blob, after checking the bytes against their digest; cached."""
        if (image, credentials) not in self._configs:
            address, digest = self._address(image.repository), self.config_digest(image, credentials)
            answer = self._ask(address, "GET", digest, credentials, kind="blobs")
            if digest_of(answer.body) != digest:
                raise RegistryUnavailable(
                    f"{address.host}: the configuration of {image} does not have its digest"
                )
            config = read_object(address, answer.body).get("config")
            self._configs[image, credentials] = parse_image_config(config if isinstance(config, dict) else {})
            for oldest in list(self._configs)[:-_KNOWN]:
                self._configs.pop(oldest, None)
        return self._configs[image, credentials]

    def layers(self, image: Image, credentials: Credentials | None) -> dict[str, int]:
        """Returns layer digest → compressed size, for this machine's platform; cached, as a digest's content
        never changes.
        """
        seen = (image, credentials)
        if seen in self._layers:
            return self._layers[seen]
        address = self._address(image.repository)
        found = self._of_this_machine(address, image, credentials).get("layers")
        tables = [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []
        self._layers[seen] = {
            str(table.get("digest")): size for table in tables if isinstance(size := table.get("size"), int)
        }
        for oldest in list(self._layers)[:-_KNOWN]:
            self._layers.pop(oldest, None)
        return self._layers[seen]

    def _address(self, repository: str) -> RegistryAddress:
        """Returns the repository's registry address. Raises RegistryRefused for a registry on this machine,
        or an address of its network, that no setting names.
        """
        host, name = split_host(repository)
        if host == DEFAULT_HOST:
            return RegistryAddress(
                repository, DOCKER_HUB, name, (DEFAULT_HOST, "index.docker.io", DOCKER_HUB)
            )
        parts = split_url(f"//{host}")
        hostname = (parts.hostname if parts else "") or ""
        known = host == self._host or host in self._named
        literal = read_address(hostname) is not None and is_inside(hostname)
        if not known and (is_loopback(hostname) or literal):
            raise leads_inside(host)
        plain = known and is_loopback(hostname)
        return RegistryAddress(repository, host, name, (host,), plain, known and self._is_inside(hostname))

    def _is_inside(self, hostname: str) -> bool:
        """True if a host that the settings name is inside: then its realm and its redirects may be, too."""
        return is_loopback(hostname) or any(map(is_inside, addresses_of(hostname)))

    def _of_this_machine(
        self, address: RegistryAddress, image: Image, credentials: Credentials | None
    ) -> dict[str, Any]:
        manifest, _ = self._manifest(address, image.digest, credentials)
        if "manifests" in manifest:
            manifest, _ = self._manifest(address, _choose(manifest["manifests"], image), credentials)
        return manifest

    def _manifest(
        self, address: RegistryAddress, reference: str, credentials: Credentials | None
    ) -> tuple[dict[str, Any], str]:
        """Returns a manifest and its digest, after checking the bytes against it."""
        answer = self._ask(address, "GET", reference, credentials)
        if answer.status != 200:
            raise refused(address, reference, answer)
        digest = digest_of(answer.body)
        claimed = answer.headers.get("docker-content-digest", digest)
        if digest != (reference if DIGEST.fullmatch(reference) else claimed):
            raise RegistryUnavailable(
                f"{address.host}: the manifest of {address.name} does not have its digest"
            )
        return read_object(address, answer.body), digest

    def _ask(
        self,
        address: RegistryAddress,
        method: str,
        reference: str,
        credentials: Credentials | None,
        kind: str = "manifests",
    ) -> Answer:
        """Sends one request for a manifest or a blob, with a login if the registry demands one; returns
        answers 200 or 405.
        """
        login = address.login(credentials)
        environment = not address.plain  # a proxy has no business on this machine
        with (
            in_words(address, reference),
            open_client(inside=address.inside, environment=environment, timeout=self._timeout) as http,
        ):
            client = OciClient(
                http,
                address.place,
                authorization=basic(login.username, login.password) if login else "",
                may_ask=lambda realm: may_ask_realm(realm, address.host, plain=address.plain),
            )
            answer = client.get(reference, kind=kind, method=method)
        if answer.status not in (200, 405):
            raise refused(address, reference, answer)
        return answer


def _choose(manifests: object, image: Image) -> str:
    """Returns the digest of an index's entry for this machine, or else for linux/amd64."""
    own = _MACHINES.get(platform.machine(), platform.machine())
    entries = [item for item in manifests if isinstance(item, dict)] if isinstance(manifests, list) else []
    for wanted in (own, "amd64"):
        for entry in entries:
            runs_on = entry.get("platform")
            runs_on = runs_on if isinstance(runs_on, dict) else {}
            if (runs_on.get("os"), runs_on.get("architecture")) == ("linux", wanted):
                return str(entry.get("digest"))
    raise ImageNotFound(f"{image} has no image for linux/{own}", hint=f"build it for linux/{own}")
