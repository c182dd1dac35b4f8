"""What the corridor needs from outside, as protocols. Adapters implement them; the corridor and the tests
know only these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from deployer.core.application import Application, Service
from deployer.core.confirmation import Confirmation
from deployer.core.conflicts import Occupied
from deployer.core.door import Door
from deployer.core.edge_model import EdgeSettings
from deployer.core.errand import Errand
from deployer.core.health import Reading
from deployer.core.hooks import Hook
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.measure import Sample
from deployer.core.model import (
    Bundle,
    Credentials,
    Deployment,
    Event,
    Measured,
    ObservedState,
    Release,
    Replica,
    Status,
    Wish,
)
from deployer.core.proven_images import ProvenRun


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


class Registry(Protocol):
    """Where images lie."""

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        """The tag's digest now. Raises ImageNotFound or RegistryUnavailable."""

    def layers(self, image: Image, credentials: Credentials | None) -> Mapping[str, int]:
        """The image's layers for this machine: digest → compressed bytes. Raises as `resolve` does."""

    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        """The image's configuration for this machine's platform. Raises as `resolve` does."""

    def judge(self, repository: str) -> None:
        """Raises RegistryRefused for a repository that must not be asked for, by the engine either."""

    def require(self, image: Image, credentials: Credentials | None) -> None:
        """Raises ImageNotFound where the registry does not show the image to this login now."""


class Forge(Protocol):
    """GitHub as the deployer uses it: source of the Compose model, and told what happened."""

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        """The Compose file and the files it names, at `revision`. Raises ForgeUnavailable or
        ReleaseIncomplete.
        """

    def tip(self, repository: str, branch: str) -> str:
        """The branch's newest commit, empty where there is no such branch. Raises ForgeUnavailable."""

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        """The branches whose newest commit this is. Raises ForgeUnavailable."""

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        """Whether `revision` is `tip` or one of the commits before it. Raises ForgeUnavailable."""

    def has_tag(self, repository: str, name: str) -> bool:
        """Raises ForgeUnavailable."""

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Posts a deployment status; a failure is logged and never changes the deployment."""


class Store(Protocol):
    """The queue and the record. Every method is one transaction; writes raise StoreUnavailable."""

    def enqueue(self, wish: Wish, now: float) -> tuple[Deployment, str]:
        """Stores a decision: the deployment, and `queued`, `duplicate` or `stale`."""

    def claim(self, now: float) -> tuple[Deployment, Wish] | None:
        """The oldest queued deployment whose app and environment have none in progress, now in progress."""

    def next_errand(self, now: float) -> Errand | None:
        """What was handed over and is due: plans first, for somebody waits. None for a store without key."""

    def put_off(self, id: str, now: float) -> None:
        """Tries it again later."""

    def answer_errand(self, id: str, answer: Mapping[str, Any]) -> None: ...

    def drop_errand(self, id: str) -> None:
        """It is done, or nobody waits for it."""

    def requeue_interrupted(self, now: float) -> Sequence[Deployment]:
        """Puts what was in progress back in the queue; to be called before the first claim of a process."""

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment: ...

    def note_measured(self, id: str, measured: Measured) -> None:
        """Keeps what was measured while the deployment ran."""

    def startups(self, app: str, environment: str) -> Mapping[str, float]:
        """Service → seconds until it was ready, the last time."""

    def note_startups(self, app: str, environment: str, seconds: Mapping[str, float]) -> None:
        """Remembers them beside those of other services."""

    def await_word(self, id: str, until: float) -> Confirmation:
        """Begins the wait for a confirmation, or goes on with one that a dead process began."""

    def word(self, id: str) -> Confirmation:
        """The wait as it stands."""

    def stop_waiting(self, id: str) -> Confirmation:
        """From its return on no word is taken any more; the one that came before it counts."""

    def append(self, id: str, kind: str, text: str, now: float) -> None: ...

    def events(self, id: str, after: int = 0) -> Sequence[Event]: ...

    def deployment(self, id: str) -> Deployment:
        """Raises NotFound."""

    def deployments(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]: ...

    def save_release(self, deployment_id: str, draft: Release, now: float) -> Release:
        """Keeps the release, now the deployment's, under an id that the same content always gets."""

    def release(self, id: str) -> Release:
        """Raises NotFound."""

    def forget_old(self, now: float) -> int:
        """Deletes what nobody needs any more, so that the record stops growing; the number of deployments."""

    def note_pull(self, image: Image) -> None:
        """Remembers that an image is here for a release, and may go with the last one that has it."""

    def pulled(self) -> Sequence[Image]: ...

    def proven(self, app: str, environment: str) -> Sequence[ProvenRun]:
        """What protected runs proved, newest first. A process that has the key leaves out what others
        wrote.
        """

    def note_proven(self, run: ProvenRun) -> None:
        """Keeps it beside the newest ones; only a process that has the key may."""

    def sweep_proven(self, app: str, environment: str) -> None:
        """Removes records that no process with the key wrote."""

    def forget_pull(self, image: Image) -> None: ...

    def releases(self) -> Sequence[Release]:
        """All that are kept, of all apps."""

    def keep_releases(self, app: str, choose: Callable[[Sequence[Deployment]], Collection[str]]) -> int:
        """Forgets the app's releases but for those that `choose` names, of all its deployments, newest first;
        in one transaction; how many. Successes that this store's key did not write are left out.
        """

    def serving(self, app: str, environment: str) -> Deployment | None:
        """The newest successful deployment."""

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        """The newest successful deployment of another release than `release`, older than the serving one."""


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Unix seconds, for records."""

    def monotonic(self) -> float:
        """Seconds that no clock step touches, for deadlines."""

    def sleep(self, seconds: float) -> None: ...


Say = Callable[[str, str], None]  # kind, text: one line of a deployment's story
