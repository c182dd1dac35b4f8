"""Interface to the target of a deployment: what runs, and how it is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from deployer.core.compose.deploy_hooks import Hook
from deployer.core.compose.endpoints import Door
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import (
    Bundle,
    Credentials,
    ObservedState,
    Replica,
)
from deployer.core.rollout.availability import Sample
from deployer.core.rollout.conflicts import Occupied
from deployer.core.rollout.desired_state import Application, Service
from deployer.core.rollout.edge_container import EdgeSettings
from deployer.core.rollout.readiness import Reading


class Target(Protocol):
    """What runs environments. One adapter a kind of target: an engine here, later several engines or a
    cluster.
    """

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        """Nobody else changes the project meanwhile, not even a child of a killed deployer. Raises Busy when
        that is not to be had within `wait` seconds.
        """

    def answers(self) -> bool:
        """Whether it can be spoken to now."""

    def edge_settings(self, project: str) -> EdgeSettings: ...

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> Mapping[str, Any]:
        """The Compose model with variables filled in. Raises ComposeRejected."""

    def planning(self, bundle: Bundle) -> AbstractContextManager[None]:
        """Within, the bundle is rendered for a plan, and nothing of that stays. Raises TooManyRequests or
        StoreUnavailable where there is no room but what deploys need.
        """

    def image_id(self, image: Image) -> str:
        """The target's own id of the image, empty where it is not there yet."""

    def image_config(self, image: Image) -> ImageConfig | None:
        """The configuration of an image that is on the target; None where it is not there yet."""

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        """Raises ImageNotFound, or RegistryUnavailable after `limit` seconds at the latest; `say` hears of
        progress. `stored`: without credentials, those that the machine's own Docker settings hold count.
        """

    def free_bytes(self) -> int | None:
        """Room for images, None where nobody can say."""

    def forget_image(self, image: Image) -> bool:
        """Removes an image that was pulled by digest; False while something uses it."""

    def keep_files(self, bundles: Sequence[Bundle]) -> int:
        """Removes the files of other bundles than these, unless they were used lately; how many folders."""

    def keep_written(self, replica: Replica) -> Mapping[str, Sequence[str]]:
        """Path in the replica → copies of what containers wrote there, for each file of a release that it
        mounts to be written. Raises StoreUnavailable.
        """

    def check_edge(self, application: Application, now: float) -> str:
        """What people should know of its certificates, empty where all is well. Raises CertificateInvalid
        where there is none to serve, ComposeRejected where no port would serve it.
        """

    def renew_certificates(self, project: str) -> bool:
        """Serves what lies in the environment's folder of certificates now; True where that is something else
        than before. Raises CertificateInvalid, once for each state of the folder, and Busy.
        """

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        """Makes sure that the edge's image is there."""

    def observe(self, project: str) -> ObservedState: ...

    def occupied(self, project: str) -> Occupied:
        """What others hold that the project may want."""

    def create(self, application: Application, counts: Mapping[str, int]) -> None:
        """Creates replicas until each named service has `counts` of them; starts and stops nothing."""

    def start(self, project: str, replicas: Sequence[Replica]) -> None:
        """Starts them, in this order, unserved, even where one gets the address of a replica that died while
        it served.
        """

    def read(self, project: str, service: Service, replica: Replica) -> Reading:
        """One look at a replica that should become ready."""

    def route(self, project: str, serving: Mapping[Service, Sequence[Replica]]) -> None:
        """From its return on, new requests of each named service go to exactly these replicas. Raises
        ContainerRefused, and leaves the old ones where they were, where these cannot have their host ports.
        """

    def sessions(self, project: str, replica: Replica) -> int:
        """Requests in flight on a replica."""

    def stop(self, project: str, replica: Replica, grace: float) -> None:
        """Out of rotation for good, then its own stop signal, killed after `grace` seconds."""

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        """`volumes`: with the nameless ones that were made for them and that nothing else uses."""

    def begin_hook(self, application: Application, hook: Hook, deployment: str) -> Replica:
        """A hook's container, started; the one of the same deployment that runs or ended well, where there is
        one.
        """

    def begin_copy(self, application: Application, service: str, old: Replica | None) -> Replica:
        """A copy of the service's new replica, or of the old one, started: alone, without network and data.
        Raises ContainerRefused.
        """

    def end_copy(self, project: str) -> None:
        """Removes it with what it wrote."""

    def has_hooks(self, project: str, deployment: str) -> bool:
        """Whether a container of one of this deployment's hooks is there: it began at least."""

    def end_hooks(self, project: str) -> None:
        """Removes the containers of all hooks of the project."""

    def look(self, replica: Replica) -> Replica | None:
        """The replica now, None when it is gone."""

    def clear(self, project: str) -> None:
        """Removes the edge and the networks of a project that runs nothing else."""

    def settle(self, application: Application) -> None:
        """After a rollout: forgets what only the old release needed."""

    def watch(self, doors: Sequence[Door]) -> Watch:
        """Begins to knock at published ports, many times a second."""

    def log_tail(self, replica: Replica) -> str:
        """The last lines it printed."""


class Watch(Protocol):
    """Knocking at doors until it is stopped."""

    def samples(self) -> Mapping[Door, Sequence[Sample]]:
        """What is known by now."""

    def stop(self) -> None: ...
