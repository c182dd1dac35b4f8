"""The Docker engine over its API. In: ids and references. Out: replicas as observed; containers started,
stopped, removed.

Labels read here are Compose's own (`com.docker.compose.*`), so that what Compose created is seen whoever
called it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import docker
import requests
from docker.errors import APIError, create_api_error_from_http_exception
from docker.errors import ImageNotFound as MissingHere
from docker.errors import NotFound as Gone

from deployer.adapters.docker.engine_errors import BROKEN, answering, connect, gone_is_fine, refusing
from deployer.adapters.docker.inspection import (
    gateways_of,
    is_ours,
    last_lines,
    occupied_by_others,
    peer_networks,
    replica_of,
)
from deployer.adapters.docker.listening_ports import taken_here
from deployer.adapters.docker.pull_progress import follow, login_header
from deployer.adapters.system.host_routes import host_routes
from deployer.core.docker.container_requests import DEPLOYMENT_LABEL, HOOK_LABEL
from deployer.core.docker.engine_requests import PermittedContainer
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.errors import EngineUnavailable, ImageNotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig, parse_image_config
from deployer.core.images import Image, split_tag
from deployer.core.model import Credentials, Replica
from deployer.core.rollout.conflicts import Occupied

_PROJECT = "com.docker.compose.project"
_TIMEOUT = 60
_PING_TIMEOUT = 5.0
_LIMIT = 600.0  # seconds of a pull
_Say = Callable[[str], None]
_Login = bytes | None  # the value of X-Registry-Auth
_LOG_LINES = 20


class Engine:
    """One Docker engine. It is spoken to at the first question, so that an engine that is down stops no
    start.
    """

    def __init__(
        self, host: str | None = None, *, timeout: int = _TIMEOUT, pull_deadline: float = _LIMIT
    ) -> None:
        self._host = host
        self._timeout = timeout
        self._pull_deadline = pull_deadline
        self.listen = ""  # the receiver's own `ADDRESS:PORT`, which no container may have
        self._lock = threading.Lock()
        self._connected: docker.APIClient | None = None

    @property
    def _client(self) -> docker.APIClient:
        with self._lock:
            if self._connected is None:
                self._connected = connect(self._host, self._timeout)
            return self._connected

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's: reached by a socket file, not over a network."""
        return bool(self._client.base_url == "http+docker://localhost")

    def observe(self, project: str) -> tuple[Replica, ...]:
        """Every container of the project, by number within its service."""
        with answering("observe"):
            listed = self._client.containers(all=True, filters={"label": [f"{_PROJECT}={project}"]})
            ours = [entry["Id"] for entry in listed if is_ours(entry["Labels"])]
            found = [details for id in ours if (details := self._inspect(id))]
        found.sort(key=lambda details: str(details["Created"]))  # RFC 3339 in UTC
        return tuple(sorted(map(replica_of, found), key=lambda replica: replica.service))

    def occupied(self, project: str) -> Occupied:
        """What containers outside the project hold, and processes where this machine is the engine's."""
        with answering("list what is taken"):
            listed = self._client.containers(all=True)
            networks, volumes = self._client.networks(), self._client.volumes()["Volumes"] or ()
        processes = taken_here(gateways_of(networks), self.listen) if self.is_here else ()
        found = occupied_by_others(project, listed, networks, volumes, processes)
        return replace(found, routes=host_routes(networks) if self.is_here else ())

    def create(self, permitted: PermittedContainer) -> str:
        """One container from a request that was judged; its id. Raises ContainerRefused where the engine will
        not.
        """
        name, body = permitted.name, permitted.body
        with answering(f"create {name}"), refusing(f"{name} cannot be created"):
            answer = self._post("/containers/create", params={"name": name}, json=body, timeout=self._timeout)
            id = str(answer.json()["Id"])
            for query, content in permitted.archives:
                path = f"/containers/{id}/archive?{query}"
                self._send("PUT", path, data=content, timeout=self._timeout)
        return id

    def networks(self) -> dict[str, str]:
        """Name → id of the networks that there are."""
        with answering("list networks"):
            return {str(network["Name"]): str(network["Id"]) for network in self._client.networks()}

    def mounted_paths(self) -> frozenset[str]:
        """Paths of the host that containers of all projects mount."""
        with answering("list mounts"):
            listed = self._client.containers(all=True)
        return frozenset(str(mount.get("Source")) for one in listed for mount in one.get("Mounts") or ())

    def bridges(self, names: Collection[str]) -> tuple[PeerNetwork, ...]:
        """The IPv4 networks among these on which nobody but containers and the host has an address."""
        with answering("list networks"):
            return peer_networks(self._client.networks(), names)

    def remove_networks(self, project: str) -> None:
        """Those of the project that no container is connected to."""
        with answering("remove networks"):
            for network in self._client.networks(filters={"label": f"{_PROJECT}={project}"}):
                with suppress(APIError):
                    self._client.remove_network(network["Id"])

    def make_internal_network(self, name: str, project: str) -> None:
        """One that leads nowhere, where it is not there yet."""
        with answering(f"create network {name}"):
            if not self._client.networks(names=[f"^{name}$"]):
                self._client.create_network(name, internal=True, labels={_PROJECT: project})

    def connect(self, replica: Replica, network: str, endpoint: Mapping[str, Any]) -> None:
        """Raises ContainerRefused where it cannot have its address or, by this network, its host ports."""
        with (
            answering(f"connect {replica.name} to {network}"),
            refusing(f"{replica.name} is refused"),
        ):
            body = {"Container": replica.id, "EndpointConfig": dict(endpoint)}
            self._post(f"/networks/{network}/connect", json=body, timeout=self._timeout)

    def disconnect(self, replica: Replica, network: str) -> None:
        """After a connect that it refused, the engine itself says wrongly that the replica is on it."""
        with answering(f"disconnect {replica.name} from {network}"), gone_is_fine():
            try:
                self._client.disconnect_container_from_network(replica.id, network)
            except APIError as error:
                if "is not connected to network" not in str(error.explanation):
                    raise

    def remove_network(self, name: str) -> None:
        """Where nothing is connected to it any more."""
        with answering(f"remove network {name}"), suppress(APIError):
            self._client.remove_network(name)

    def hooks(self, project: str) -> dict[tuple[str, str], Replica]:
        """Name and deployment of each container of the project that runs a hook, or ran one."""
        with answering("list hooks"):
            labels = [f"{_PROJECT}={project}", HOOK_LABEL]
            listed = self._client.containers(all=True, filters={"label": labels})
            found = [details for entry in listed if (details := self._inspect(entry["Id"]))]
        return {
            (replica.name, details["Config"]["Labels"][DEPLOYMENT_LABEL]): replica
            for details in found
            for replica in (replica_of(details),)
        }

    def details(self, replica: Replica) -> dict[str, Any]:
        """Its whole inspection; empty when it is gone."""
        with answering(f"inspect {replica.name}"):
            return self._inspect(replica.id) or {}

    def rename(self, replica: Replica, name: str) -> None:
        with answering(f"rename {replica.name}"), gone_is_fine():
            self._client.rename(replica.id, name)

    def tag(self, image: Image, name: str) -> None:
        """Gives a local image one more name, taken from any other; asks first, as a look is cheaper."""
        repository, given = split_tag(name)
        tag = given or "latest"
        with answering(f"tag {name}"), suppress(MissingHere):
            if f"{repository}:{tag}" not in (self._client.inspect_image(str(image))["RepoTags"] or ()):
                self._client.tag(str(image), repository, tag, force=True)

    def forward(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, Mapping[str, str], bytes]:
        """Somebody else's call of the engine's API, with its answer."""
        headers = {"Content-Type": kind} if kind else {}
        with answering("forward"):
            client = self._client
            url = f"{client.base_url}{path}"
            answer = client.request(method, url, data=body or None, headers=headers, timeout=self._timeout)
        return answer.status_code, answer.headers, answer.content

    def look(self, replica: Replica) -> Replica | None:
        """The replica now, or None when it is gone."""
        with answering("inspect"):
            details = self._inspect(replica.id)
        return replica_of(details) if details else None

    def image_id(self, image: Image) -> str:
        """The local id of an image that was pulled by digest, empty when it is not here."""
        return str(self._inspect_image(image).get("Id", ""))

    def image_config(self, image: Image) -> ImageConfig | None:
        """The configuration of an image that was pulled by digest; None where it is not here."""
        found = self._inspect_image(image)
        return parse_image_config(found.get("Config") or {}) if found else None

    def _inspect_image(self, image: Image) -> dict[str, Any]:
        with answering("inspect image"), suppress(MissingHere):
            return dict(self._client.inspect_image(str(image)))
        return {}

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: _Say,
        limit: float = _LIMIT,
        *,
        stored: bool = False,
    ) -> None:
        """Raises ImageNotFound or RegistryUnavailable, or EngineUnavailable where the engine is gone."""
        login = login_header(self._client, image.repository, credentials, stored=stored)
        self._pull(str(image), image.repository, image.digest, login, say, limit)

    def fetch(self, name: str, say: _Say) -> None:
        """Pulls `repository:tag` where it is not here yet."""
        with answering(f"inspect {name}"):
            try:
                self._client.inspect_image(name)
                return
            except MissingHere:
                say(f"pulling {name}")
        repository, tag = split_tag(name)
        try:
            self._pull(name, repository, tag or "latest", login_header(self._client, repository, None), say)
        except ImageNotFound as error:
            raise ImageNotFound(str(error), hint="edge.image names it") from None

    def _pull(
        self, image: str, repository: str, tag: str, login: _Login, say: _Say, limit: float = _LIMIT
    ) -> None:
        limit = max(1.0, min(limit, self._pull_deadline))
        deadline = time.monotonic() + limit
        try:
            with answering(f"pull {image}", image), self._open_pull(repository, tag, login, limit) as stream:
                follow(stream, image, deadline, say)
        except EngineUnavailable:
            if not self.ping():
                raise
            late = time.monotonic() >= deadline
            ended = f"within {limit:.0f} s" if late else "to its end: the engine broke it off"
            raise RegistryUnavailable(
                f"{image} was not pulled {ended}", hint="the engine's own log says what its registry did"
            ) from None

    def remove_image(self, image: Image) -> bool:
        """Takes the digest's name off an image, and the image itself with its last name; False while a
        container uses it.
        """
        with answering(f"remove {image}"), gone_is_fine():
            try:
                self._client.remove_image(str(image))
            except APIError as error:
                if error.status_code == 409:
                    return False
                raise
        return True

    def root(self) -> str:
        """Where the engine keeps its images, on its own host."""
        with answering("info"):
            return str(self._client.info()["DockerRootDir"])

    def start(self, replica: Replica) -> None:
        """Raises ContainerRefused where the engine will not."""
        with answering(f"start {replica.name}"), refusing(f"{replica.name} cannot be started"):
            self._client.start(replica.id)

    def stop(self, replica: Replica, grace: float) -> None:
        with answering(f"stop {replica.name}"), gone_is_fine():
            self._client.stop(replica.id, timeout=max(1, round(grace)))

    def restart(self, replica: Replica) -> None:
        """Raises ContainerRefused where the engine will not."""
        with answering(f"restart {replica.name}"), refusing(f"{replica.name} cannot be started"):
            self._client.restart(replica.id, timeout=1)

    def remove(self, replica: Replica, *, volumes: bool = False) -> None:
        """Kills what still runs. `volumes`: with the nameless ones that were made for it. A volume that was
        given to it by name, or that another container has, stays.
        """
        with answering(f"remove {replica.name}"), gone_is_fine():
            self._client.remove_container(replica.id, force=True, v=volumes)

    def log_tail(self, replica: Replica) -> str:
        """The last lines a replica printed, for the reason of a failure: empty where they cannot be read, as
        that must not hide the failure.
        """
        raw = b""
        with answering(f"logs of {replica.name}"), suppress(APIError):
            raw = self._client.logs(replica.id, tail=_LOG_LINES, stdout=True, stderr=True)
        return last_lines(raw).decode(errors="replace").strip()

    def ping(self) -> bool:
        """Whether the engine answers."""
        try:
            client = self._client
            limit = min(_PING_TIMEOUT, self._timeout)
            return bool(client.get(f"{client.base_url}/_ping", timeout=limit).ok)
        except (EngineUnavailable, *BROKEN):
            return False

    def _open_pull(self, repository: str, tag: str, login: _Login, limit: float) -> requests.Response:
        """The SDK's own `pull` waits for ever and hides the connection, so that nobody could end it."""
        return self._post(
            "/images/create",
            params={"fromImage": repository, "tag": tag},
            headers={"X-Registry-Auth": login} if login else {},
            timeout=limit,
            stream=True,
        )

    def _post(self, path: str, **options: Any) -> requests.Response:
        return self._send("POST", path, **options)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        client = self._client
        url = f"{client.base_url}/v{client.api_version}{path}"
        answer: requests.Response = client.request(method, url, **options)
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        return answer

    def _inspect(self, id: str) -> dict[str, Any] | None:
        try:
            details: dict[str, Any] = self._client.inspect_container(id)
        except Gone:
            return None
        return details
