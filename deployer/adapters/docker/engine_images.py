"""Images of one Docker engine. In: references, a registry login. Out: images pulled, named, removed; their
ids and configurations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from docker.errors import APIError
from docker.errors import ImageNotFound as MissingHere

from deployer.adapters.docker.engine_connection import EngineConnection
from deployer.adapters.docker.engine_errors import answering, gone_is_fine
from deployer.adapters.docker.pull_progress import follow, login_header
from deployer.core.docker.engine_requests import PermittedTag
from deployer.core.errors import EngineUnavailable, ImageNotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig, parse_image_config
from deployer.core.images import Image, split_tag
from deployer.core.model import Credentials

PULL_LIMIT = 600.0  # seconds of a pull
_Say = Callable[[str], None]
_Login = bytes | None  # the value of X-Registry-Auth


class Images:
    """Pulls, inspects, names and removes images of one engine."""

    def __init__(self, connection: EngineConnection, pull_deadline: float = PULL_LIMIT) -> None:
        self._connection = connection
        self._pull_deadline = pull_deadline

    def find_id(self, image: Image) -> str:
        """Returns the local id of an image that was pulled by digest, empty if the engine lacks it."""
        return str(self._inspect(image).get("Id", ""))

    def config(self, image: Image | str) -> ImageConfig | None:
        """Returns the configuration of an image by its digest or its id, or None if the engine lacks it."""
        found = self._inspect(image)
        return parse_image_config(found.get("Config") or {}) if found else None

    def _inspect(self, image: Image | str) -> dict[str, Any]:
        with answering("inspect image"), suppress(MissingHere):
            return dict(self._connection.client.inspect_image(str(image)))
        return {}

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: _Say,
        limit: float = PULL_LIMIT,
        *,
        stored: bool = False,
    ) -> None:
        """Pulls an image by its digest; `stored` as in `login_header`. Raises ImageNotFound,
        RegistryUnavailable or EngineUnavailable.
        """
        login = login_header(self._connection.client, image.repository, credentials, stored=stored)
        self._pull(str(image), image.repository, image.digest, login, say, limit)

    def fetch(self, name: str, say: _Say) -> None:
        """Pulls `repository:tag` unless the engine has it."""
        client = self._connection.client
        with answering(f"inspect {name}"):
            try:
                client.inspect_image(name)
                return
            except MissingHere:
                say(f"pulling {name}")
        repository, tag = split_tag(name)
        try:
            self._pull(name, repository, tag or "latest", login_header(client, repository, None), say)
        except ImageNotFound as error:
            raise ImageNotFound(str(error), hint="edge.image names it") from None

    def _pull(
        self, image: str, repository: str, tag: str, login: _Login, say: _Say, limit: float = PULL_LIMIT
    ) -> None:
        limit = max(1.0, min(limit, self._pull_deadline))
        deadline = time.monotonic() + limit
        try:
            with answering(f"pull {image}", image), self._open_pull(repository, tag, login, limit) as stream:
                follow(stream, image, deadline, say)
        except EngineUnavailable:
            if not self._connection.ping():
                raise
            late = time.monotonic() >= deadline
            ended = f"within {limit:.0f} s" if late else "to its end: the engine broke it off"
            raise RegistryUnavailable(
                f"{image} was not pulled {ended}", hint="the engine's own log says what its registry did"
            ) from None

    def _open_pull(self, repository: str, tag: str, login: _Login, limit: float) -> requests.Response:
        """Opens the progress stream. The SDK's own `pull` has no time limit and hides the connection, so that
        a pull could not be ended.
        """
        return self._connection.post(
            "/images/create",
            params={"fromImage": repository, "tag": tag},
            headers={"X-Registry-Auth": login} if login else {},
            timeout=limit,
            stream=True,
        )

    def tag(self, permitted: PermittedTag) -> None:
        """Gives an image another name, even one that another image has. An image that has the name already is
        left alone, as an inspection costs less.
        """
        image, repository, tag = str(permitted.image), permitted.repository, permitted.tag
        client = self._connection.client
        with answering(f"tag {repository}:{tag}"), suppress(MissingHere):
            if f"{repository}:{tag}" not in (client.inspect_image(image)["RepoTags"] or ()):
                client.tag(image, repository, tag, force=True)

    def remove(self, image: Image) -> bool:
        """Removes the digest's name of an image, and with its last name the image. False while a container
        uses it.
        """
        with answering(f"remove {image}"), gone_is_fine():
            try:
                self._connection.client.remove_image(str(image))
            except APIError as error:
                if error.status_code == 409:
                    return False
                raise
        return True
