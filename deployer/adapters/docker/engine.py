"""The Docker engine over its API. In: ids and references. Out: replicas as observed; containers started,
stopped, removed.

Labels read here are Compose's own (`com.docker.compose.*`), so that what Compose created is seen whoever
called it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import requests
from docker.errors import APIError
from docker.errors import ImageNotFound as MissingHere

from deployer.adapters.docker.engine_connection import PULL_LIMIT, EngineConnection
from deployer.adapters.docker.engine_errors import answering, gone_is_fine, refusing
from deployer.adapters.docker.inspection import (
    gateways_of,
    is_ours,
    last_lines,
    occupied_by_others,
    peer_networks,
    replica_of,
)
from deployer.adapters.docker.listening_ports import reserved_ports, taken_here
from deployer.adapters.docker.pull_progress import follow, login_header
from deployer.adapters.system.host_routes import host_routes
from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.container_requests import DEPLOYMENT_LABEL, HOOK_LABEL
from deployer.core.docker.engine_requests import PermittedContainer, PermittedName, PermittedTag
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.network_requests import PermittedEndpoint, PermittedNetwork
from deployer.core.errors import EngineUnavailable, ImageNotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig, parse_image_config
from deployer.core.images import Image, split_tag
from deployer.core.model import Credentials, Replica
from deployer.core.permissions.project_permissions import NOTHING_PRESENT, Present
from deployer.core.rollout.conflicts import Occupied

_Say = Callable[[str], None]
_Login = bytes | None  # the value of X-Registry-Auth
_LOG_LINES = 20


class Engine(EngineConnection):
    """Client of one Docker engine: its containers, images and networks, and permitted changes of them."""

    def observe(self, project: str) -> tuple[Replica, ...]:
        """Every container of the project, by number within its service."""
        with answering("observe"):
            listed = self._client.containers(all=True, filters={"label": [_of(project)]})
            ours = [entry["Id"] for entry in listed if is_ours(entry["Labels"])]
            found = [details for id in ours if (details := self._inspect(id))]
        found.sort(key=lambda details: str(details["Created"]))  # RFC 3339 in UTC
        return tuple(sorted(map(replica_of, found), key=lambda replica: replica.service))

    def occupied(self, project: str) -> Occupied:
        """Host ports, names and projects of foreign containers, and ports of processes if the engine is on
        this machine.
        """
        with answering("list what is taken"):
            listed = self._client.containers(all=True)
            networks, volumes = self._client.networks(), self._client.volumes()["Volumes"] or ()
        processes = taken_here(gateways_of(networks), self.listen) if self.is_here else ()
        found = occupied_by_others(project, listed, networks, volumes, processes)
        return replace(found, routes=host_routes(networks) if self.is_here else ())

    def reserved(self) -> Present:
        """Ports and routes of the host that no request may take."""
        if not self.is_here:
            return NOTHING_PRESENT
        with answering("list networks"):
            networks = self._client.networks()
        ports = reserved_ports(gateways_of(networks), self.listen)
        return Present(ports=ports, routes=host_routes(networks))

    def create(self, permitted: PermittedContainer) -> str:
        """Creates a container from a permitted request; its id. Raises ContainerRefused where the engine will
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
        """Removes networks of the project that no container is connected to."""
        with answering("remove networks"):
            for network in self._client.networks(filters={"label": _of(project)}):
                with suppress(APIError):
                    self._client.remove_network(network["Id"])

    def make_network(self, permitted: PermittedNetwork) -> None:
        """Where it is not there yet."""
        name = permitted.name
        with answering(f"create network {name}"):
            if not self._client.networks(names=[f"^{re.escape(name)}$"]):
                self._post("/networks/create", json=permitted.body, timeout=self._timeout)

    def connect(self, replica: Replica, permitted: PermittedEndpoint) -> None:
        """Raises ContainerRefused where it cannot have its address or, by this network, its host ports."""
        network = permitted.network
        with answering(f"connect {replica.name} to {network}"), refusing(f"{replica.name} is refused"):
            body = {"Container": replica.id, "EndpointConfig": permitted.settings}
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
            labels = [_of(project), HOOK_LABEL]
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

    def rename(self, replica: Replica, permitted: PermittedName) -> None:
        with answering(f"rename {replica.name}"), gone_is_fine():
            self._client.rename(replica.id, permitted.name)

    def tag(self, permitted: PermittedTag) -> None:
        """Gives a local image one more name, taken from any other; asks first, as a look is cheaper."""
        image, repository, tag = str(permitted.image), permitted.repository, permitted.tag
        with answering(f"tag {repository}:{tag}"), suppress(MissingHere):
            if f"{repository}:{tag}" not in (self._client.inspect_image(image)["RepoTags"] or ()):
                self._client.tag(image, repository, tag, force=True)

    def forward(self, call: PermittedCall) -> tuple[int, Mapping[str, str], bytes]:
        """A call of Compose's own, with its answer."""
        headers = {"Content-Type": "application/json"} if call.body else {}
        with answering("forward"):
            client = self._client
            url, data = f"{client.base_url}{call.path}", call.body or None
            answer = client.request(call.method, url, data=data, headers=headers, timeout=self._timeout)
        return answer.status_code, answer.headers, answer.content

    def look(self, replica: Replica) -> Replica | None:
        """The replica now, or None when it is gone."""
        with answering("inspect"):
            details = self._inspect(replica.id)
        return replica_of(details) if details else None

    def image_id(self, image: Image) -> str:
        """The local id of an image that was pulled by digest, empty when it is not here."""
        return str(self._inspect_image(image).get("Id", ""))

    def image_config(self, image: Image | str) -> ImageConfig | None:
        """The configuration of an image by its digest or its id; None where it is not here."""
        found = self._inspect_image(image)
        return parse_image_config(found.get("Config") or {}) if found else None

    def _inspect_image(self, image: Image | str) -> dict[str, Any]:
        with answering("inspect image"), suppress(MissingHere):
            return dict(self._client.inspect_image(str(image)))
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
        self, image: str, repository: str, tag: str, login: _Login, say: _Say, limit: float = PULL_LIMIT
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

    def _open_pull(self, repository: str, tag: str, login: _Login, limit: float) -> requests.Response:
        """The SDK's own `pull` waits for ever and hides the connection, so that nobody could end it."""
        return self._post(
            "/images/create",
            params={"fromImage": repository, "tag": tag},
            headers={"X-Registry-Auth": login} if login else {},
            timeout=limit,
            stream=True,
        )


def _of(project: str) -> str:
    """The engine's filter for objects of a project."""
    return f"{ComposeLabel.PROJECT}={project}"
