"""Suite that every target passes: a deploy, a bad release, a rollback, a deploy without changes, drift.

Three targets: folders of static sites, containers in memory, containers of a real engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.config.settings import load_config
from deployer.core.model import Bundle, DeployJob, Deployment, Kind, Trigger
from deployer.core.rollout.plan import Plan
from deployer.deployment.context import DeployContext
from deployer.deployment.deploy import deploy
from deployer.deployment.dry_run import drift_from
from testing.compose_models import application, image, shop
from testing.docker.docker_cli import docker, service_of
from testing.folder_target import PAGE, FolderTarget
from testing.receiver.in_memory_target import MemoryTarget, in_memory_context
from testing.stage import Stage
from tests.deployment.test_deploy import SETTINGS, FastClock, NoRegistry


class Place(Protocol):
    """One environment on one target."""

    def deploy(self, version: str, *, bad: bool = False) -> tuple[str, str]:
        """Returns the status and the reason."""

    def roll_back(self) -> str: ...

    def redeploy(self) -> str: ...

    def serves(self) -> str:
        """Returns the version that requests reach, empty without one."""

    def drift(self) -> bool:
        """True if another state is there than the serving release asks for."""

    def tamper(self) -> None:
        """Changes the target behind the deployer's back, so that another version serves or none."""

    def state(self) -> object:
        """Returns a value that differs once anything was touched."""


class InProcess:
    """A place whose deployments run in this process, with a real store."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "deployer.db", open_secret_store(folder / "key"))
        self.clock = FastClock()
        self.context = self.build(folder)

    def build(self, folder: Path) -> DeployContext:
        raise NotImplementedError

    def job(self, version: str, bad: bool) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def parts(self) -> dict[str, Any]:
        return {
            "config": load_config(SETTINGS),
            "store": self.store,
            "registry": NoRegistry(),
            "github": NoGitHub(),
            "clock": self.clock,
            "variables": lambda *_: {},
        }

    def deploy(self, version: str, *, bad: bool = False) -> tuple[str, str]:
        ended = self._run(Kind.DEPLOY, revision=(version * 40)[:40], **self.job(version, bad))
        return ended.status, ended.reason

    def roll_back(self) -> str:
        serving = self.store.deployments.serving("shop", "production")
        assert serving
        before = self.store.deployments.before("shop", "production", serving.release)
        assert before
        return self._run(Kind.ROLLBACK, release=before.release, revision=before.revision).status

    def redeploy(self) -> str:
        serving = self.store.deployments.serving("shop", "production")
        assert serving
        return self._run(Kind.REDEPLOY, release=serving.release, revision=serving.revision).status

    def drift(self) -> bool:
        serving = self.store.deployments.serving("shop", "production")
        assert serving
        environment = self.context.config.app("shop").environment("production")
        plan: Plan = drift_from(environment, self.store.releases.get(serving.release), self.context)
        return not plan.empty

    def _run(self, kind: Kind, **job: Any) -> Deployment:
        asked = DeployJob("shop", "production", kind, Trigger.API, "ada", **job)
        self.store.queue.enqueue(asked, self.clock.now())
        claimed = self.store.queue.claim(self.clock.now())
        assert claimed
        return deploy(*claimed, self.context)


class FolderPlace(InProcess):
    def build(self, folder: Path) -> DeployContext:
        self.target = FolderTarget(folder / "sites", load_config(SETTINGS))
        self.target.root.mkdir()
        compose: Any = MemoryTarget({"services": {}})
        return DeployContext(renderer=compose, target=self.target, prober=compose, **self.parts)

    def job(self, version: str, bad: bool) -> dict[str, Any]:
        page = "about.html" if bad else PAGE
        return {"bundle": Bundle("compose.yaml", {"compose.yaml": "services: {}\n", page: version})}

    def serves(self) -> str:
        page = self.target.root / "shop" / "current" / PAGE
        return page.read_text(encoding="utf-8") if page.is_file() else ""

    def tamper(self) -> None:
        self.target.site("shop").switch("")

    def state(self) -> object:
        status = (self.target.root / "shop" / "current").lstat()
        return status.st_ino, status.st_mtime_ns


class MemoryPlace(InProcess):
    def build(self, folder: Path) -> DeployContext:
        self.memory = MemoryTarget(shop())
        return in_memory_context(self.memory, **self.parts)

    def job(self, version: str, bad: bool) -> dict[str, Any]:
        mark = format(int(version), "x")
        if bad:
            self.memory.sick |= {one.spec for one in application(2 * mark).services}
        files = {"compose.yaml": "services: {}\n"}
        images = {name: image(name, mark) for name in ("backend", "frontend")}
        return {"bundle": Bundle("compose.yaml", files), "images": images}

    def serves(self) -> str:
        found = {digest[7] for digests in self.memory.serving().values() for digest in digests if digest}
        assert len(found) <= 1
        return found.pop() if found else ""

    def tamper(self) -> None:
        for id, replica in list(self.memory.replicas.items()):
            if replica.service != "deployer-edge":
                del self.memory.replicas[id]

    def state(self) -> object:
        return dict(self.memory.replicas)


class EnginePlace:
    """A real receiver, reached as users reach it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._server = stage.source.folder.joinpath("backend/server.js").read_text(encoding="utf-8")

    def deploy(self, version: str, *, bad: bool = False) -> tuple[str, str]:
        self.stage.source.write("backend/server.js", "process.exit(3);\n" if bad else self._server)
        ended = self.stage.deploy(self.stage.publish(f"{version}.0.0"))
        return ended["status"], ended["reason"]

    def roll_back(self) -> str:
        return self._asked("rollback")

    def redeploy(self) -> str:
        return self._asked("redeploy")

    def _asked(self, verb: str) -> str:
        done = self.stage.cli(verb, "shop")
        return "success" if done.returncode == 0 else done.stdout + done.stderr

    def serves(self) -> str:
        return self.stage.serves().partition(".")[0]

    def drift(self) -> bool:
        done = self.stage.cli("status", "shop")
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 1

    def tamper(self) -> None:
        for container in self.stage.containers():
            if service_of(container) == "backend":
                docker("rm", "-f", container["Id"])

    def state(self) -> object:
        return sorted((one["Id"], one["State"]["StartedAt"]) for one in self.stage.containers())


@pytest.fixture(params=["folders", "memory", pytest.param("engine", marks=pytest.mark.engine)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "engine":
        with Stage() as stage:
            yield EnginePlace(stage)
        return
    made = FolderPlace(tmp_path) if request.param == "folders" else MemoryPlace(tmp_path)
    yield made
    made.store.close()


def test_a_life_of_releases_on_every_target(place: Place) -> None:
    assert place.deploy("1")[0] == "success" and place.serves() == "1"
    before = place.state()
    assert place.redeploy() == "success" and place.state() == before, "a release that serves touches nothing"
    assert not place.drift()

    status, reason = place.deploy("2", bad=True)
    assert status == "failure" and "[gate-failed]" in reason and "serves as before" in reason
    assert place.serves() == "1" and not place.drift()

    assert place.deploy("3")[0] == "success" and place.serves() == "3"
    assert place.roll_back() == "success" and place.serves() == "1"
    assert place.roll_back() == "success" and place.serves() == "3", "once more leads forward again"

    place.tamper()
    assert place.drift() and place.serves() != "3"
    assert place.redeploy() == "success" and place.serves() == "3" and not place.drift()


def test_a_first_release_that_is_refused_leaves_nothing(place: Place) -> None:
    status, reason = place.deploy("1", bad=True)
    assert status == "failure" and "there was no release before, nothing runs" in reason
    assert place.serves() == ""


def test_folders_outside_the_kept_releases_and_a_link_left_over_go(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    for version in ("1", "2", "3"):
        assert place.deploy(version)[0] == "success"
    site, releases = place.target.site("shop"), place.store.releases.all
    assert len(list(site.folder.glob("releases/*"))) == 3 and place.target.prune(releases).folders == 0
    serving = place.store.releases.get(site.serving)
    assert place.target.prune(lambda: [serving]).folders == 2 and place.serves() == "3"
    (site.folder / "next").symlink_to(site.folder)
    app = place.context.config.app("shop")
    newest = place.store.deployments.history("shop", "production", 1)[0]
    for task in place.target.maintenance(app, app.environment("production"), newest):
        task()
    assert not (site.folder / "next").is_symlink() and place.serves() == "3"
    place.store.close()
