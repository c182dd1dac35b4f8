"""A target in memory with faults. In: the calls of a rollout. Out: their order, and a state to inspect.

It serves tests of moments that a real engine cannot produce on demand; the scenarios run on the real one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from deployer.core.compose.deploy_hooks import Hook
from deployer.core.compose.endpoints import Endpoint
from deployer.core.errors import ContainerRefused, DeployerError
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Bundle, ContainerState, Credentials, Health, ObservedState, Replica
from deployer.core.permissions.grants import PowerRefused
from deployer.core.ports.container_host import ContainerHost
from deployer.core.rollout.availability import Sample
from deployer.core.rollout.conflicts import Occupied
from deployer.core.rollout.desired_state import DesiredState, Service
from deployer.core.rollout.edge_container import EdgeSettings
from deployer.core.rollout.readiness import ANSWERED, Reading
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.container_target import ContainerTarget
from deployer.deployment.context import DeployContext
from testing.compose_models import EDGE_SETTINGS


class MemoryWatch:
    """A watch with a given result."""

    def __init__(self, seen: Mapping[Endpoint, Sequence[Sample]]) -> None:
        self._seen = seen

    def samples(self) -> Mapping[Endpoint, Sequence[Sample]]:
        return self._seen

    def stop(self) -> None:
        return


class MemoryTarget:
    """`breaks` maps a call's name to the error that it raises; `sick` names the specs that never become
    ready.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.replicas: dict[str, Replica] = {}
        self.calls: list[str] = []
        self.breaks: dict[str, DeployerError] = {}
        self.sick: set[str] = set()
        self.failing: set[str] = set()  # moments whose hooks end with a code
        self.broken_copies: set[str] = set()  # `new`, `old`: the copy that ends at once
        self.refuses_copies = False
        self.forbidden_copies: set[str] = set()  # `new`, `old`: the copy that is refused by its permissions
        self.hooked: Replica | None = None
        self.in_flight = 0
        self.free: int | None = None
        self.configs: dict[str, ImageConfig] = {}  # digest → configuration, an empty one for all others
        self.here: set[str] = set()  # digests of images that need no pull
        self.in_use: set[str] = set()  # digests that a foreign container runs
        self.taken = Occupied()
        self.seen: Mapping[Endpoint, Sequence[Sample]] = {}  # calls of the watch
        self._made = 0

    def serving(self) -> dict[str, list[str]]:
        """Returns service → digests that requests reach."""
        found: dict[str, list[str]] = {}
        for replica in self.replicas.values():
            if replica.serving:
                found.setdefault(replica.service, []).append(replica.digest)
        return found

    @contextmanager
    def exclusive(self, project: str, wait: float = 120.0) -> Iterator[None]:
        self._call("exclusive")
        yield

    def edge_settings(self, project: str) -> EdgeSettings:
        return EDGE_SETTINGS

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> Mapping[str, Any]:
        self._call("render")
        return self.model

    def image_id(self, image: Image) -> str:
        return "sha256:0" if image.digest in self.here else ""

    def image_config(self, image: Image) -> ImageConfig | None:
        return self.configs.get(image.digest, ImageConfig())

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        self._call("pull")

    def free_bytes(self) -> int | None:
        return self.free

    def answers(self) -> bool:
        return "answers" not in self.breaks

    def forget_image(self, image: Image) -> bool:
        self._call("forget_image", image.digest[7])
        return image.digest not in self.in_use

    def planning(self, bundle: Bundle) -> AbstractContextManager[None]:
        return nullcontext()

    def keep_files(self, bundles: Sequence[Bundle]) -> int:
        return 0

    def keep_written(self, replica: Replica) -> Mapping[str, Sequence[str]]:
        return {}

    def check_edge(self, application: DesiredState, now: float) -> str:
        self._call("check_edge")
        return ""

    def renew_certificates(self, project: str) -> bool:
        self._call("renew_certificates")
        return False

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        self._call("fetch_edge")

    def observe(self, project: str) -> ObservedState:
        return ObservedState(tuple(self.replicas.values()))

    def occupied(self, project: str) -> Occupied:
        return self.taken

    def create(self, application: DesiredState, counts: Mapping[str, int]) -> None:
        self._call("create", *counts)
        for name, count in counts.items():
            service = application.service(name)
            assert service
            while sum(replica.service == name for replica in self.replicas.values()) < count:
                self._add(service)

    def start(self, project: str, replicas: Sequence[Replica]) -> None:
        self._call("start", *(replica.service for replica in replicas))
        for replica in replicas:
            self._change(replica, state=ContainerState.RUNNING, serving=replica.service == "deployer-edge")

    def read(self, project: str, service: Service, replica: Replica) -> Reading:
        self._call("read")
        now = self.replicas[replica.id]
        return Reading(now.state, Health.NONE, answer="HTTP 500" if now.spec in self.sick else ANSWERED)

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        self._call("route", *(service.name for service in serving))
        for service, chosen in serving.items():
            ids = {replica.id for replica in chosen}
            for replica in [r for r in self.replicas.values() if r.service == service.name]:
                self._change(replica, serving=replica.id in ids)

    def sessions(self, project: str, replica: Replica) -> int:
        self._call("sessions")
        return self.in_flight

    def stop(self, project: str, replica: Replica, grace: float) -> None:
        self._call("stop", replica.service)
        self._change(replica, state=ContainerState.EXITED, serving=False)

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        self._call("scrap" if volumes else "remove", *(replica.service for replica in replicas))
        for replica in replicas:
            del self.replicas[replica.id]

    def begin_hook(self, application: DesiredState, hook: Hook, deployment: str) -> Replica:
        self._call("hook", hook.service, hook.moment)
        code = 3 if hook.moment in self.failing else 0
        moment, state = hook.moment, ContainerState.EXITED
        self.hooked = Replica(moment, moment, hook.service, "", state, Health.NONE, "", "", exit_code=code)
        return self.hooked

    def begin_copy(self, application: DesiredState, service: str, old: Replica | None) -> Replica:
        self._call("copy", "old" if old else "new")
        if ("old" if old else "new") in self.forbidden_copies:
            raise PowerRefused("container copy asks for cap_add:SYS_ADMIN")
        if (failed := ("old" if old else "new") in self.broken_copies) and self.refuses_copies:
            raise ContainerRefused("no such program")
        state, code = (ContainerState.EXITED, 5) if failed else (ContainerState.RUNNING, 0)
        self.hooked = Replica("copy", "copy", service, "", state, Health.NONE, "", "", exit_code=code)
        return self.hooked

    def end_copy(self, project: str) -> None:
        self.hooked = None

    def has_hooks(self, project: str, deployment: str) -> bool:
        return self.hooked is not None

    def end_hooks(self, project: str) -> None:
        self.hooked = None

    def look(self, replica: Replica) -> Replica | None:
        return self.hooked

    def clear(self, project: str) -> None:
        self._call("clear")
        self.replicas.clear()

    def reconcile(self, application: DesiredState) -> None:
        self._call("settle")

    def watch(self, endpoints: Sequence[Endpoint]) -> MemoryWatch:
        return MemoryWatch(self.seen)

    def log_tail(self, replica: Replica) -> str:
        return "listening\nError: no database at postgres://u:hunter22@db"

    def _add(self, service: Service) -> None:
        self._made += 1
        id = f"{service.name}-{self._made}"
        digest = service.image.digest if service.image else ""
        state, health = ContainerState.CREATED, Health.NONE
        self.replicas[id] = Replica(id, id, service.name, service.spec, state, health, "sha256:0", digest)

    def _change(self, replica: Replica, **changes: Any) -> None:
        self.replicas[replica.id] = dataclasses.replace(self.replicas[replica.id], **changes)

    def _call(self, name: str, *subjects: str) -> None:
        if name not in ("read", "sessions", "render", "exclusive", "check_edge", "renew_certificates"):
            self.calls.append(" ".join((name, *sorted(subjects))))
        if name in self.breaks:
            raise self.breaks[name]


def in_memory_host(target: Any) -> ContainerHost:
    """One object in all roles of a host."""
    return ContainerHost(*([target] * len(dataclasses.fields(ContainerHost))))


def in_memory_context(target: Any, **parts: Any) -> DeployContext:
    """Dependencies of a deployment whose containers are in memory; `parts` as in `DeployContext`."""
    shared = {name: part for name, part in parts.items() if name not in ("github", "variables")}
    containers = ContainerContext(renderer=target, host=in_memory_host(target), **shared)
    return DeployContext(renderer=target, target=ContainerTarget(containers), prober=target, **parts)
