"""Images of one engine and their configurations."""

from __future__ import annotations

from collections.abc import Callable

from deployer.adapters.docker.disk_space import free_for
from deployer.adapters.docker.engine import Engine
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Credentials

_KNOWN_CONFIGS = 256  # images whose configuration is remembered


class DockerImages:
    """Implements `ImageStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._configs: dict[Image, ImageConfig] = {}  # by digest, so they never change; oldest first

    def image_id(self, image: Image) -> str:
        return self._engine.images.find_id(image)

    def image_config(self, image: Image) -> ImageConfig | None:
        if image not in self._configs and (found := self._engine.images.config(image)):
            self._configs[image] = found
            for oldest in list(self._configs)[:-_KNOWN_CONFIGS]:
                self._configs.pop(oldest, None)
        return self._configs.get(image)

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        self._engine.images.pull(image, credentials, say, limit, stored=stored)

    def free_bytes(self) -> int | None:
        """Returns the free bytes of the engine's disk, or None if the engine is on another machine."""
        return free_for(self._engine.host.image_folder()) if self._engine.connection.is_here else None

    def forget_image(self, image: Image) -> bool:
        return self._engine.images.remove(image)
