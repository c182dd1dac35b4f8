"""Interfaces to one container host by role: containers, images, readiness, traffic, hooks, files, locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from deployer.core.compose.deploy_hooks import Hook
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import (
    Bundle,
    Credentials,
    ObservedState,
    Replica,
)
from deployer.core.rollout.conflicts import Occupied
from deployer.core.rollout.desired_state import DesiredState, Service
from deployer.core.rollout.edge_container import EdgeSettings
from deployer.core.rollout.readiness import Reading


class ProjectLock(Protocol):
    """Keeps two processes from changing one project at once."""

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        """Locks the project against every other process, even a child of a killed deployer. Raises Busy if
        the lock is not free within `wait` seconds.
        """


class ContainerRuntime(Protocol):
    """Containers of projects: their state, and the means to change it."""

    def answers(self) -> bool:
        """True if the host can be reached now."""

    def observe(self, project: str) -> ObservedState: ...

    def occupied(self, project: str) -> Occupied:
        """Returns the ports, names and addresses that other projects hold."""

    def create(self, application: DesiredState, counts: Mapping[str, int]) -> None:
        """Creates replicas until each named service has `counts` of them; starts and stops nothing."""

    def start(self, project: str, replicas: Sequence[Replica]) -> None:
        """Starts replicas, in this order, without traffic, even if one gets the address of a replica that
        died while it served.
        """

    def stop(self, project: str, replica: Replica, grace: float) -> None:
        """Takes the replica out of rotation for good, sends its stop signal, and kills it after `grace`
        seconds.
        """

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        """Removes replicas; `volumes`: with their anonymous volumes that no other container uses."""

    def log_tail(self, replica: Replica) -> str:
        """Returns the last lines of its log."""


class ReadinessReader(Protocol):
    """Observes replicas that should become ready."""

    def read(self, project: str, service: Service, replica: Replica) -> Reading:
        """Observes once a replica that should become ready."""


class ImageStore(Protocol):
    """Images on the host."""

    def image_id(self, image: Image) -> str:
        """Returns the target's own id of the image, empty if it is not present."""

    def image_config(self, image: Image) -> ImageConfig | None:
        """Returns the configuration of an image on the target; None if it is not present."""

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        """Pulls the image. Raises ImageNotFound, or RegistryUnavailable after `limit` seconds at the latest;
        `say` receives progress lines. `stored`: without credentials, those in the machine's own Docker
        settings count.
        """

    def free_bytes(self) -> int | None:
        """Returns free space for images, None if it cannot be determined."""

    def forget_image(self, image: Image) -> bool:
        """Removes an image that was pulled by digest; False while it is in use."""


class TrafficRouter(Protocol):
    """The edge of a project, which holds its published ports and sends requests to replicas."""

    def edge_settings(self, project: str) -> EdgeSettings: ...

    def check_edge(self, application: DesiredState, now: float) -> str:
        """Returns a warning about its certificates, empty if there is none. Raises CertificateInvalid if
        there is none to serve, ComposeRejected if no port would serve it.
        """

    def renew_certificates(self, project: str) -> bool:
        """Serves the current content of the environment's certificate folder; True if it differs from before.
        Raises CertificateInvalid, once for each state of the folder, and Busy.
        """

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        """Makes sure that the edge's image is present."""

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        """Switches new requests of each named service to exactly these replicas before it returns. Raises
        ContainerRefused, and leaves the old ones in place, if the new ones cannot have their host ports.
        """

    def sessions(self, project: str, replica: Replica) -> int:
        """Returns the number of requests in flight on a replica."""

    def clear(self, project: str) -> None:
        """Removes the edge and the networks of a project that runs nothing else."""

    def reconcile(self, application: DesiredState) -> None:
        """Cleans up after a rollout: removes everything that only the old release needed."""


class HookRunner(Protocol):
    """Containers that run once: hooks, and copies that show whether a replica starts."""

    def begin_hook(self, application: DesiredState, hook: Hook, deployment: str) -> Replica:
        """Starts a hook's container and returns it; returns the same deployment's container if it runs or
        succeeded.
        """

    def begin_copy(self, application: DesiredState, service: str, old: Replica | None) -> Replica:
        """Starts a copy of the service's new replica, or of the old one: alone, without network and data.
        Raises ContainerRefused.
        """

    def end_copy(self, project: str) -> None:
        """Removes the copy and its data."""

    def has_hooks(self, project: str, deployment: str) -> bool:
        """True if a container of one of this deployment's hooks exists: the hook has at least begun."""

    def end_hooks(self, project: str) -> None:
        """Removes the containers of all hooks of the project."""

    def look(self, replica: Replica) -> Replica | None:
        """Returns the replica's current state, None if it is gone."""


class ReleaseFiles(Protocol):
    """Files of releases on the host, which containers mount."""

    def keep_files(self, bundles: Sequence[Bundle]) -> int:
        """Removes the files of other bundles than these, unless they were used lately; returns the number of
        removed folders.
        """

    def keep_written(self, replica: Replica) -> Mapping[str, Sequence[str]]:
        """Path in the replica → copies of what containers wrote there, for each file of a release that it
        mounts to be written. Raises StoreUnavailable.
        """


@dataclass(frozen=True)
class ContainerHost:
    """Container host, role by role."""

    runtime: ContainerRuntime
    readiness: ReadinessReader
    images: ImageStore
    router: TrafficRouter
    hooks: HookRunner
    files: ReleaseFiles
    locks: ProjectLock
