"""Interface to an OCI registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import (
    Credentials,
)


class Registry(Protocol):
    """Image registries."""

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        """Returns the tag's current digest. Raises ImageNotFound or RegistryUnavailable."""

    def layers(self, image: Image, credentials: Credentials | None) -> Mapping[str, int]:
        """Returns the image's layers for this machine: digest → compressed bytes. Raises as
        `resolve` does.
        """

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        """Returns the image's configuration for this machine's platform. Raises as `resolve` does."""

    def judge(self, repository: str) -> None:
        """Raises RegistryRefused for a repository that neither the server nor the engine may contact."""

    def require(self, image: Image, credentials: Credentials | None) -> None:
        """Raises ImageNotFound if the registry does not show the image to this login now."""
