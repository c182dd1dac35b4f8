"""Containers of one Docker engine. In: ids and permitted requests. Out: replicas as observed; containers
created, started, stopped, removed.

Labels read here are Compose's own (`com.docker.compose.*`), so that containers are found no matter which
command created them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from docker.errors import APIError

from deployer.adapters.docker.engine_connection import EngineConnection
from deployer.adapters.docker.engine_errors import answering, gone_is_fine, refusing
from deployer.adapters.docker.inspection import is_ours, last_lines, replica_of
from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import DEPLOYMENT_LABEL, HOOK_LABEL
from deployer.core.docker.engine_requests import PermittedContainer, PermittedName
from deployer.core.model import Replica

_LOG_LINES = 20


class Containers:
    """Observes, creates, starts, stops and removes containers of one engine."""

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection

    def observe(self, project: str) -> tuple[Replica, ...]:
        """Returns the replicas of the project by service, the oldest first."""
        with answering("observe"):
            client = self._connection.client
            listed = client.containers(all=True, filters={"label": [f"{ComposeLabel.PROJECT}={project}"]})
            ours = [entry["Id"] for entry in listed if is_ours(entry["Labels"])]
            found = [details for id in ours if (details := self._connection.inspect(id))]
        found.sort(key=lambda details: str(details["Created"]))  # RFC 3339 in UTC
        return tuple(sorted(map(replica_of, found), key=lambda replica: replica.service))

    def hooks(self, project: str) -> dict[tuple[str, str], Replica]:
        """Returns the project's hook containers, running or ended, by name and deployment."""
        with answering("list hooks"):
            labels = [f"{ComposeLabel.PROJECT}={project}", HOOK_LABEL]
            listed = self._connection.client.containers(all=True, filters={"label": labels})
            found = [details for entry in listed if (details := self._connection.inspect(entry["Id"]))]
        return {
            (replica.name, details["Config"]["Labels"][DEPLOYMENT_LABEL]): replica
            for details in found
            for replica in (replica_of(details),)
        }

    def mounted_paths(self) -> frozenset[str]:
        """Returns the paths of the host that containers of all projects mount."""
        with answering("list mounts"):
            listed = self._connection.client.containers(all=True)
        return frozenset(str(mount.get("Source")) for one in listed for mount in one.get("Mounts") or ())

    def look(self, replica: Replica) -> Replica | None:
        """Returns the replica as it is now, or None if it is gone."""
        with answering("inspect"):
            details = self._connection.inspect(replica.id)
        return replica_of(details) if details else None

    def details(self, replica: Replica) -> dict[str, Any]:
        """Returns the replica's whole inspection, empty if it is gone."""
        with answering(f"inspect {replica.name}"):
            return self._connection.inspect(replica.id) or {}

    def create(self, permitted: PermittedContainer) -> str:
        """Creates a container from a permitted request and returns its id. Raises ContainerRefused."""
        name, body = permitted.name, permitted.body
        with answering(f"create {name}"), refusing(f"{name} cannot be created"):
            answer = self._connection.post("/containers/create", params={"name": name}, json=body)
            id = str(answer.json()["Id"])
            for query, content in permitted.archives:
                self._connection.send("PUT", f"/containers/{id}/archive?{query}", data=content)
        return id

    def rename(self, replica: Replica, permitted: PermittedName) -> None:
        with answering(f"rename {replica.name}"), gone_is_fine():
            self._connection.client.rename(replica.id, permitted.name)

    def start(self, replica: Replica) -> None:
        """Starts a created or stopped replica. Raises ContainerRefused."""
        with answering(f"start {replica.name}"), refusing(f"{replica.name} cannot be started"):
            self._connection.client.start(replica.id)

    def stop(self, replica: Replica, grace: float) -> None:
        with answering(f"stop {replica.name}"), gone_is_fine():
            self._connection.client.stop(replica.id, timeout=max(1, round(grace)))

    def restart(self, replica: Replica) -> None:
        """Restarts a replica within a second. Raises ContainerRefused."""
        with answering(f"restart {replica.name}"), refusing(f"{replica.name} cannot be started"):
            self._connection.client.restart(replica.id, timeout=1)

    def remove(self, replica: Replica, *, volumes: bool = False) -> None:
        """Removes a replica, running or not; with `volumes` its anonymous volumes too. Named volumes and
        volumes that another container has stay.
        """
        with answering(f"remove {replica.name}"), gone_is_fine():
            self._connection.client.remove_container(replica.id, force=True, v=volumes)

    def log_tail(self, replica: Replica) -> str:
        """Returns the last lines of a replica's log, for the reason of a failure. An unreadable log is empty,
        as it must not hide the failure.
        """
        raw = b""
        with answering(f"logs of {replica.name}"), suppress(APIError):
            raw = self._connection.client.logs(replica.id, tail=_LOG_LINES, stdout=True, stderr=True)
        return last_lines(raw).decode(errors="replace").strip()
