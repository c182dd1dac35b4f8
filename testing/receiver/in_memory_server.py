"""The real receiver, store, queue, worker and deployment with targets in memory.

In: the settings file, a folder, `web` or `worker` for one half of two. Out: a server that starts like
`webhook_server.py` and writes to `FOLDER/served/PROJECT` the digests that requests would reach now, and to
`FOLDER/story` a line for the begin and the end of every pull. GitHub, registry and engine are stand-ins, so
that hundreds of deploys fit into seconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.sqlite import expiry
from deployer.adapters.system.file_lock import hold
from deployer.cli import server_commands as serving
from deployer.core.compose.endpoints import Endpoint
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Bundle, Credentials, Replica
from deployer.core.rollout.desired_state import DesiredState, Service
from deployer.web.http_server import server as real_server
from deployer.worker import maintenance_rounds
from deployer.worker.worker import Worker
from testing.compose_models import shop
from testing.receiver.in_memory_target import MemoryTarget, MemoryWatch, in_memory_context

LIVES_FAST = "DEPLOYER_TEST_LIVES_FAST"  # keeps few releases, and prunes every second
_KEPT = ("config", "store", "clock", "variables", "login")  # of the real dependencies
TAKES = "DEPLOYER_TEST_DEPLOY_TAKES"  # seconds of a pull


def digest_of(revision: str) -> str:
    """Returns the digest that the registry here gives to a revision's images."""
    return "sha256:" + hashlib.sha256(f"sha-{revision}".encode()).hexdigest()


class Registry:
    def image_config(self, image: Image, credentials: Credentials | None) -> ImageConfig:
        return ImageConfig()

    def judge(self, repository: str) -> None:
        return

    def require(self, image: Image, credentials: Credentials | None) -> None:
        return

    def resolve(self, repository: str, tag: str, credentials: Credentials | None) -> Image:
        return Image(repository, "sha256:" + hashlib.sha256(tag.encode()).hexdigest())


class GitHub(NoGitHub):
    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        return Bundle(entry, {entry: "services: {}\n"})

    def tip(self, repository: str, branch: str) -> str:
        return "f" * 40

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        return True

    def has_tag(self, repository: str, name: str) -> bool:
        return False


class Project(MemoryTarget):
    """One environment's replicas, and the file with the digests that serve."""

    def __init__(self, name: str, folder: Path) -> None:
        networks = {"default": {"name": f"{name}_default"}}
        super().__init__({**shop(), "name": name, "networks": networks})
        self._name = name
        self._file = folder / "served" / name

    def _add(self, service: Service) -> None:
        """Under a name that no other project has."""
        super()._add(service)
        id, replica = self.replicas.popitem()
        unique = f"{self._name}-{id}"
        self.replicas[unique] = dataclasses.replace(replica, id=unique, name=unique)

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        super().route(application, serving)
        digests = sorted({digest for found in self.serving().values() for digest in found if digest})
        written = self._file.with_suffix(".new")
        written.write_text(" ".join(digests), encoding="ascii")
        written.replace(self._file)


class Fleet:
    """A target for any number of projects: each call goes to its project's own target."""

    def __init__(self, folder: Path, state: Path, takes: float) -> None:
        self._folder, self._state, self._takes = folder, state, takes
        self._projects: dict[str, Project] = {}
        self._machine = MemoryTarget(shop())
        self._lock = threading.Lock()
        self._story = os.open(folder / "story", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        (folder / "served").mkdir(exist_ok=True)

    def of(self, project: str) -> Project:
        with self._lock:
            return self._projects.setdefault(project, Project(project, self._folder))

    @contextmanager
    def exclusive(self, project: str, wait: float = 120.0) -> Iterator[None]:
        with hold(self._state / "projects" / f"{project}.lock", wait=wait):
            yield

    def pull(
        self,
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        """Takes as long as a pull: a real deploy spends most of its time there."""
        project = image.repository.split("/")[2].rpartition("-")[0]
        self._tell(f"begin {project} {image.digest}")
        time.sleep(self._takes)
        self._tell(f"end {project} {image.digest}")

    def create(self, application: DesiredState, counts: Mapping[str, int]) -> None:
        self.of(application.project).create(application, counts)

    def route(self, application: DesiredState, serving: Mapping[Service, Sequence[Replica]]) -> None:
        self.of(application.project).route(application, serving)

    def reconcile(self, application: DesiredState) -> None:
        self.of(application.project).reconcile(application)

    def planning(self, bundle: Bundle) -> AbstractContextManager[None]:
        return nullcontext()

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> Mapping[str, Any]:
        return self.of(project).model

    def image_id(self, image: Image) -> str:
        return ""

    def fetch_edge(self, say: Callable[[str], None]) -> None:
        """Does nothing: the edge's image is present."""

    def remove(self, replicas: Sequence[Replica], *, volumes: bool = False) -> None:
        for project in list(self._projects.values()):
            project.remove([replica for replica in replicas if replica.id in project.replicas])

    def watch(self, endpoints: Sequence[Endpoint]) -> MemoryWatch:
        return MemoryWatch({})

    def log_tail(self, replica: Replica) -> str:
        return ""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Forwards every other call of a target to the first argument's project, or to the machine."""

        def call(*arguments: Any) -> Any:
            of_a_project = bool(arguments) and isinstance(arguments[0], str)
            target = self.of(arguments[0]) if of_a_project else self._machine
            return getattr(target, name)(*arguments)

        return call

    def _tell(self, line: str) -> None:
        os.write(self._story, f"{time.monotonic():.4f} {line}\n".encode())


def main() -> int:
    server: Any = real_server
    folder = Path(sys.argv[1])
    if os.environ.get(LIVES_FAST):
        vars(expiry).update(KEEP=20, KEEP_DELIVERIES=200, KEEP_READ_TOKENS=10.0)
        vars(maintenance_rounds).update(_TIDY=1.0)
    build = server.build

    def cheap(path: Path) -> Any:
        parts = build(path)
        fleet: Any = Fleet(folder, Path(parts.config.state), float(os.environ.get(TAKES, "0")))
        context = in_memory_context(
            fleet,
            **{
                **{name: getattr(parts.context, name) for name in _KEPT},
                "registry": Registry(),
                "github": GitHub(),
            },
        )
        working = Worker(context)
        parts.store.queue.queued = working.wake
        return dataclasses.replace(parts, context=context, worker=working)

    half = sys.argv[2] if len(sys.argv) > 2 else ""
    if half == "worker":
        vars(serving).update(build=cheap)
        return serving._work("")
    server.build = cheap
    return int(server.main_web() if half == "web" else server.main())


if __name__ == "__main__":
    raise SystemExit(main())
