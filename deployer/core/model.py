"""Values that packages exchange: release, deployment, replica, observed state. Frozen, no behaviour beyond
names.

Units: times are Unix seconds (float), durations seconds, sizes bytes. Never holds a secret in clear text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deployer.core.host_ports import HostPort
from deployer.core.images import Image

DEPLOY_DEADLINE = 900  # seconds until a hanging deployment is given up, unless the settings say otherwise


class Status(StrEnum):
    """A deployment's state, in GitHub's words (REST `deployments/statuses`)."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"  # the gate, the registry or the model refused the release
    ERROR = "error"  # the deployer or the machine broke
    INACTIVE = "inactive"  # superseded by a newer one before it ran

    @property
    def final(self) -> bool:
        """True if the deployment's status cannot change any more."""
        return self not in (Status.QUEUED, Status.IN_PROGRESS)


class Kind(StrEnum):
    """Kind of a deployment."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"


class Trigger(StrEnum):
    """Origin of a deploy job."""

    ACTION = "action"
    WEBHOOK = "webhook"
    API = "api"
    CLI = "cli"
    RECOVERY = "recovery"  # of a deployment that was given up; never queued


@dataclass(frozen=True, order=True)
class Run:
    """A workflow run's position among its workflow's runs: newest wins by number, then attempt, never by
    date.
    """

    number: int = 0
    attempt: int = 0


@dataclass(frozen=True)
class Bundle:
    """The Compose model as files: `entry` is the Compose file, `files` maps paths to text."""

    entry: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Credentials:
    """A registry login that travels with one deploy request and is forgotten after its pull."""

    host: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Attested:
    """A run's claims about its images. `trees`: service → hash of the image's source. `reused`: services with
    an image from the server's record, so that the run built none. `combination`: hash of all that the test
    depends on, empty if it cannot be determined.
    """

    combination: str = ""
    trees: Mapping[str, str] = field(default_factory=dict)
    reused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DeployJob:
    """Deploy job on its way to the queue. `images` and `bundle` are None if the server must look them up."""

    app: str
    environment: str
    kind: Kind
    trigger: Trigger
    actor: str
    revision: str = ""
    run: Run | None = None
    images: Mapping[str, Image] | None = None
    bundle: Bundle | None = None
    release: str = ""  # an existing release's id, for redeploy and rollback
    credentials: Credentials | None = None
    workflow: str = (
        ""  # whose numbers `run` counts in: only runs of one workflow are older or newer than each other
    )
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # win over the server's file
    defaults: Mapping[str, str] = field(default_factory=dict, repr=False)  # the run's; lose to it
    github: int = 0  # the number of the GitHub deployment that asked for it, whose statuses tell of it
    origin: str = "local"  # the client's address; kept in the audit log, not with the deployment
    confirm: int = 0  # seconds to wait for the confirmation of the serving release
    run_tasks: bool = False  # one-shot tasks run although the release returns
    branch: str = ""  # of a webhook's run, where the environment's setting is a pattern
    tested: Attested | None = None  # of a run whose token's claims fit the environment


@dataclass(frozen=True)
class GivenVariables:
    """A deploy job's variables, from which a release's are made anew when the server's file changes."""

    request: Mapping[str, str] = field(repr=False)
    defaults: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Release:
    """All parts of a release, immutable: revision, images by digest, Compose model, variables."""

    id: str
    app: str
    revision: str
    images: Mapping[str, Image]
    bundle: Bundle
    variables: Mapping[str, str] = field(repr=False)
    given: GivenVariables | None = None  # None: a release of an older build, whose parts are not known


@dataclass(frozen=True)
class Availability:
    """Availability of the worst service during a deployment, as measured by the deployer's own requests
    through the published ports. Milliseconds; the percentiles by `before`, `during` and `after`, None for a
    period without requests.
    """

    requests: int
    failed: int
    longest_gap_ms: float
    p50_ms: Mapping[str, float | None] = field(hash=False)
    p95_ms: Mapping[str, float | None] = field(hash=False)


@dataclass(frozen=True)
class Deployment:
    """Record of the deployment of one release to one environment."""

    id: str
    app: str
    environment: str
    kind: Kind
    trigger: str  # as stored: no row of another process may hide the others
    actor: str
    revision: str
    status: Status
    reason: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    attempts: int
    release: str
    run: Run
    previous: str = ""  # revision that served before
    measured: Availability | None = None


class EventKind(StrEnum):
    """Kind of a deployment's event, beside the verbs of its plans and the moments of its hooks."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    REQUEUE = "requeue"  # the process that deployed it died
    RESOLVE = "resolve"
    IMAGE = "image"  # resolved elsewhere than in the request
    CERTIFICATE = "certificate"
    PROJECT = "project"  # notice about a first deploy's project name
    BLANK = "blank"  # notice about variables without a value
    PULL = "pull"
    PLAN = "plan"
    WRITTEN = "written"  # a leaving replica wrote to a file of its release
    LOG = "log"  # line of a container's output
    CONFIRM = "confirm"  # the release serves and waits for its confirmation
    WORD = "word"  # the confirmation as it arrived
    CONFIRMED = "confirmed"
    RECONCILE = "settle"  # after another program changed containers
    HINT = "hint"
    FAILED = "failed"
    ROLLBACK = "rollback"  # plan of the way back
    RESTORED = "restored"  # result for a deployment that was given up
    MEASURED = "measured"
    UNTIDY = "untidy"  # the release serves, and something around it is left to do
    END = "end"


@dataclass(frozen=True)
class Event:
    """Event of a deployment, numbered from 1 within it."""

    n: int
    at: float
    kind: str  # as stored: the record of another version may hold kinds that this one does not know
    text: str


class ContainerState(StrEnum):
    """Docker's state of a container."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"
    PAUSED = "paused"
    REMOVING = "removing"
    REMOVED = "removed"  # the engine does not know it any more
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> ContainerState:
        """Returns UNKNOWN for a word of another engine: one such container must not hide the others."""
        return cls.UNKNOWN


class Health(StrEnum):
    """Verdict of a container's own health check."""

    NONE = "none"  # it has no check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Health:
        """Returns UNKNOWN for a word of another engine."""
        return cls.UNKNOWN


@dataclass(frozen=True)
class Replica:
    """Container of a service as observed. `spec` is the content hash it was created from."""

    id: str
    name: str
    service: str
    spec: str
    state: ContainerState
    health: Health
    image: str  # local image id = the image's config digest on the classic store
    digest: str  # digest that it was created from, `sha256:…`, empty if from a tag
    exit_code: int = 0
    restarts: int = 0
    addresses: Mapping[str, str] = field(default_factory=dict, hash=False)  # network → IPv4
    ports: tuple[HostPort, ...] = ()  # held while it runs
    serving: bool = False  # the edge sends it new requests
    parked: bool = False  # parked: off its service's networks, before or after its time with the host ports
    port_successor: bool = False  # port successor: created to take the ports over from the previous replica
    # Path → name of its anonymous volumes with data, and of its predecessors' that it does not mount.
    volumes: Mapping[str, str] = field(default_factory=dict, hash=False)
    scratch: bool = False  # it has anonymous volumes, and none of them holds data
    # Path → path on the target's machine of a bind mount that it may write to.
    writes: Mapping[str, str] = field(default_factory=dict, hash=False)
    started: float = 0.0  # Unix seconds of the engine's clock, 0 if it never started

    @property
    def running(self) -> bool:
        return self.state is ContainerState.RUNNING


@dataclass(frozen=True)
class ObservedState:
    """Snapshot of one project on one target."""

    replicas: tuple[Replica, ...]

    def of(self, service: str) -> tuple[Replica, ...]:
        """Returns the service's replicas, oldest name first."""
        return tuple(replica for replica in self.replicas if replica.service == service)
