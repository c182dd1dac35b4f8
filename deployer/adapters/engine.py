"""The Docker engine over its API. In: ids and references. Out: replicas as observed; containers started,
stopped, removed.

Labels read here are Compose's own (`com.docker.compose.*`), so that what Compose created is seen whoever
called it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException
from docker.errors import ImageNotFound as MissingHere
from docker.errors import NotFound as Gone

from deployer.core.application import SPEC_LABEL
from deployer.core.errors import EngineUnavailable, ImageNotFound, RegistryUnavailable
from deployer.core.images import Image, split_tag
from deployer.core.model import Credentials, Replica

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_NOT_BY_HAND = "com.docker.compose.oneoff=False"  # `docker compose run` is somebody's own
_TIMEOUT = 60
_PULL_DEADLINE = 600.0
_SAY_EVERY = 2.0  # seconds between progress lines of one pull
_LOG_LINES = 20
_LOG_CHARS = 2_000


class Engine:
    """One Docker engine. It is spoken to at the first question, so that an engine that is down stops no
    start.
    """

    def __init__(self, host: str | None = None) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._connected: docker.APIClient | None = None

    @property
    def _client(self) -> docker.APIClient:
        with self._lock:
            if self._connected is None:
                self._connected = _connect(self._host)
            return self._connected

    def observe(self, project: str) -> tuple[Replica, ...]:
        """Every container of the project, by number within its service."""
        with _answering("observe"):
            listed = self._client.containers(
                all=True, filters={"label": [f"{_PROJECT}={project}", _NOT_BY_HAND]}
            )
            found = [details for entry in listed if (details := self._inspect(entry["Id"]))]
        return tuple(
            sorted(map(_replica, found), key=lambda replica: (replica.service, _number(replica.name)))
        )

    def look(self, replica: Replica) -> Replica | None:
        """The replica now, or None when it is gone."""
        with _answering("inspect"):
            details = self._inspect(replica.id)
        return _replica(details) if details else None

    def image_id(self, image: Image) -> str:
        """The local id of an image that was pulled by digest, empty when it is not here."""
        with _answering("inspect image"):
            try:
                return str(self._client.inspect_image(str(image))["Id"])
            except MissingHere:
                return ""

    def pull(self, image: Image, credentials: Credentials | None, say: Callable[[str], None]) -> None:
        """Reads the whole progress stream: an engine reports a failed pull inside it, with status 200."""
        login = {"username": credentials.username, "password": credentials.password} if credentials else None
        layers: dict[str, tuple[int, int]] = {}
        spoken, deadline = time.monotonic(), time.monotonic() + _PULL_DEADLINE
        with _answering(f"pull {image}", image):
            stream = self._client.pull(
                image.repository, tag=image.digest, stream=True, decode=True, auth_config=login
            )
            for line in stream:
                _raise_pull_error(line, image)
                _count_bytes(line, layers)
                if time.monotonic() - spoken > _SAY_EVERY:
                    spoken = time.monotonic()
                    say(_progress(layers))
                if spoken > deadline:
                    raise RegistryUnavailable(f"{image} was not pulled within {_PULL_DEADLINE:.0f} s")

    def fetch(self, name: str, say: Callable[[str], None]) -> None:
        """Pulls `repository:tag` where it is not here yet."""
        with _answering(f"inspect {name}"):
            try:
                self._client.inspect_image(name)
                return
            except MissingHere:
                say(f"pulling {name}")
        repository, tag = split_tag(name)
        with _answering(f"pull {name}"):
            for line in self._client.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in line:
                    raise ImageNotFound(
                        f"{name} cannot be pulled: {line['error']}", hint="edge.image names it"
                    )

    def start(self, replica: Replica) -> None:
        with _answering(f"start {replica.name}"):
            self._client.start(replica.id)

    def stop(self, replica: Replica, grace: float) -> None:
        with _answering(f"stop {replica.name}"), _gone_is_fine():
            self._client.stop(replica.id, timeout=max(1, round(grace)))

    def remove(self, replica: Replica) -> None:
        """Kills what still runs. Volumes stay, also nameless ones: they may hold what somebody needs."""
        with _answering(f"remove {replica.name}"), _gone_is_fine():
            self._client.remove_container(replica.id, force=True)

    def give_up_aliases(self, replica: Replica, networks: Mapping[str, Sequence[str]]) -> None:
        """Leaves a created replica only its own name on each network: the service's is the edge's."""
        with _answering(f"connect {replica.name}"):
            for network, settings in (self._inspect(replica.id) or {})["NetworkSettings"]["Networks"].items():
                taken = set(settings.get("Aliases") or ()) & {
                    alias for names in networks.values() for alias in names
                }
                if taken:
                    self._client.disconnect_container_from_network(replica.id, network, force=True)
                    self._client.connect_container_to_network(replica.id, network, aliases=[replica.name])

    def log_tail(self, replica: Replica) -> str:
        """The last lines a replica printed, for the reason of a failure."""
        with _answering(f"logs of {replica.name}"):
            raw: bytes = self._client.logs(replica.id, tail=_LOG_LINES, stdout=True, stderr=True)
        return raw[-_LOG_CHARS:].decode(errors="replace").strip()

    def ping(self) -> bool:
        """Whether the engine answers."""
        try:
            return bool(self._client.ping())
        except (EngineUnavailable, DockerException, requests.RequestException):
            return False

    def _inspect(self, id: str) -> dict[str, Any] | None:
        try:
            details: dict[str, Any] = self._client.inspect_container(id)
        except Gone:
            return None
        return details


def _connect(host: str | None) -> docker.APIClient:
    with _answering("connect"):
        if host:
            return docker.APIClient(base_url=host, version="auto", timeout=_TIMEOUT)
        return docker.from_env(version="auto", timeout=_TIMEOUT).api


def _replica(details: Mapping[str, Any]) -> Replica:
    state, config = details["State"], details["Config"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    networks: Mapping[str, Any] = details["NetworkSettings"]["Networks"] or {}
    return Replica(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        service=labels.get(_SERVICE, ""),
        spec=labels.get(SPEC_LABEL, ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        image=details["Image"],
        digest=config["Image"].partition("@")[2],
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(details.get("RestartCount") or 0),
        ports=_host_ports(details["HostConfig"].get("PortBindings") or {}),
        addresses={
            name: settings["IPAddress"] for name, settings in networks.items() if settings.get("IPAddress")
        },
    )


def _host_ports(bindings: Mapping[str, Any]) -> tuple[str, ...]:
    """`{"3001/tcp": [{"HostPort": "8080"}]}` as `8080/tcp`."""
    found = {
        f"{binding['HostPort']}/{port.partition('/')[2]}"
        for port, held in bindings.items()
        for binding in held or ()
        if binding.get("HostPort")
    }
    return tuple(sorted(found))


def _number(name: str) -> tuple[int, str]:
    last = name.rpartition("-")[2]
    return (int(last) if last.isdigit() else 0, name)


def _count_bytes(line: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    detail = line.get("progressDetail") or {}
    if line.get("status") == "Downloading" and "total" in detail:
        layers[str(line.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))


def _progress(layers: Mapping[str, tuple[int, int]]) -> str:
    done, total = (sum(pair[part] for pair in layers.values()) for part in (0, 1))
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else "waiting for the registry"


def _raise_pull_error(line: Mapping[str, Any], image: Image) -> None:
    if "error" not in line:
        return
    text = str(line["error"])
    if any(word in text for word in ("not found", "manifest unknown", "denied", "unauthorized")):
        raise ImageNotFound(
            f"{image} cannot be pulled: {text}",
            hint="it is not in the registry, or this login may not read it",
        )
    raise RegistryUnavailable(f"{image} cannot be pulled: {text}")


@contextmanager
def _answering(action: str, image: Image | None = None) -> Iterator[None]:
    """The engine's own words as an expected failure."""
    try:
        yield
    except Gone as error:
        if image is None:
            raise EngineUnavailable(f"{action}: {error.explanation}") from None
        raise ImageNotFound(f"{image} cannot be pulled: {error.explanation}") from None
    except APIError as error:
        if image is None:
            raise EngineUnavailable(f"{action}: {error.explanation or error}") from None
        _raise_pull_error({"error": str(error.explanation or error)}, image)
    except (DockerException, requests.RequestException, OSError) as error:
        raise EngineUnavailable(
            f"{action}: the engine does not answer ({type(error).__name__})",
            hint="is Docker running and DOCKER_HOST right?",
        ) from None


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except Gone:
        return
