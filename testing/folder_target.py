"""A target without containers: static sites, one folder for each release and one symbolic link to the folder
that serves. In: releases whose files are pages. Out: `ROOT/PROJECT/current` leads to the release that serves.

It shows that a deployment needs no engine, no proxy and no image, and is the shortest example for a new
target.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deployer.adapters.system.file_lock import hold
from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.compose.endpoints import Endpoint
from deployer.core.config.settings import App, Config, Environment
from deployer.core.errors import GateFailed
from deployer.core.model import (
    ContainerState,
    DeployJob,
    Deployment,
    EventKind,
    Health,
    ObservedState,
    Release,
    Replica,
)
from deployer.core.ports.journal import Journal
from deployer.core.ports.target import DowntimeBudget, Pruned
from deployer.core.rollout.changes import Change, DryRun
from deployer.core.rollout.plan import Plan, Step, Verb

PAGE = "index.html"  # a release without it is not ready
_SITE = "site"


@dataclass(frozen=True)
class Site:
    """Folder of one project."""

    folder: Path

    @property
    def project(self) -> str:
        return self.folder.name

    @property
    def serving(self) -> str:
        """Id of the release that serves, empty without one."""
        link = self.folder / "current"
        return link.readlink().name if link.is_symlink() else ""

    def release(self, id: str) -> Path:
        return self.folder / "releases" / id

    def plan(self, wanted: str) -> Plan:
        cause = f"{self.serving or 'nothing'} → {wanted or 'nothing'}"
        steps = (Step(Verb.SWITCH, _SITE, 0, cause),) if self.serving != wanted else ()
        return Plan(self.project, steps)

    def switch(self, id: str) -> None:
        """In one step: a request finds the old release or the new one."""
        if not id:
            (self.folder / "current").unlink(missing_ok=True)
            return
        new = self.folder / "next"
        new.unlink(missing_ok=True)
        new.symlink_to(self.release(id))
        new.replace(self.folder / "current")

    def keep(self, ids: set[str]) -> int:
        gone = [path for path in self.folder.glob("releases/*") if path.name not in ids]
        for path in gone:
            shutil.rmtree(path)
        return len(gone)


class FolderRollout:
    """Implements `ReleaseRollout`."""

    def __init__(self, site: Site, release: Release | None, journal: Journal, forward: bool) -> None:
        self._site, self._release, self._journal = site, release, journal
        self._wanted = release.id if release else ""
        self._kind = EventKind.PLAN if forward else EventKind.ROLLBACK
        self.endpoints: Sequence[Endpoint] = ()
        self.one_way = False

    def check(self, *, tasks: bool) -> None:
        """Nothing else holds a folder of this project."""

    def fetch(self) -> None:
        for name, text in self._release.bundle.files.items() if self._release else ():
            path = self._site.release(self._wanted) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def plan(self, *, tasks: bool) -> bool:
        plan = self._site.plan(self._wanted)
        self._journal.record(self._kind, str(plan))
        return not plan.empty

    def run_hooks(self, moment: HookMoment, deadline: float) -> bool:
        return False

    def bring_in(self) -> None:
        if self._wanted and not (self._site.release(self._wanted) / PAGE).is_file():
            raise GateFailed(f"{_SITE}: the release has no {PAGE}")
        if self._site.serving != self._wanted:
            self._site.switch(self._wanted)
            self._journal.record(Verb.SWITCH, f"{_SITE} serves {self._wanted or 'nothing'}")

    def drain(self) -> None:
        """A file that is open stays readable after its folder is gone."""

    def take_out(self) -> None:
        """Folders stay for the way back, until `prune`."""

    def complete(self, budget: DowntimeBudget) -> None:
        """The switch is the whole rollout."""


@dataclass(frozen=True)
class FolderSession:
    """Implements `TargetSession`."""

    site: Site
    journal: Journal
    disturbed: bool = False

    def begin(self, release: Release | None, deadline: float, *, forward: bool) -> FolderRollout:
        return FolderRollout(self.site, release, self.journal, forward)

    def ran_hooks(self) -> bool:
        return False

    def forget_hooks(self) -> None:
        """No release has hooks."""

    def close(self) -> None:
        """Nothing was learnt."""


@dataclass(frozen=True)
class FolderTarget:
    """Implements `Target` below one folder."""

    root: Path
    config: Config

    def site(self, project: str) -> Site:
        return Site(self.root / project)

    def answers(self) -> bool:
        return self.root.is_dir()

    @contextmanager
    def exclusive(self, project: str, wait: float = 120.0) -> Iterator[None]:
        with hold(self.root / f"{project}.lock", wait=wait):
            yield

    def observe(self, project: str) -> ObservedState:
        id = self.site(project).serving
        running = Replica(id, id, _SITE, id, ContainerState.RUNNING, Health.NONE, "", "", serving=True)
        return ObservedState((running,) if id else ())

    def open(self, deployment: Deployment, job: DeployJob, journal: Journal) -> FolderSession:
        environment = self.config.app(deployment.app).environment(deployment.environment)
        return FolderSession(self.site(environment.project), journal)

    def dry_run(
        self,
        environment: Environment,
        release: Release,
        *,
        tasks: bool = True,
        conflicts: bool = True,
        offline: bool = False,
    ) -> DryRun:
        plan = self.site(environment.project).plan(release.id)
        return DryRun(plan, {_SITE: Change.NONE if plan.empty else Change.CONFIGURATION})

    def maintenance(
        self, app: App, environment: Environment, newest: Deployment
    ) -> Sequence[Callable[[], object]]:
        return (partial(self._tidy, environment.project),)

    def _tidy(self, project: str) -> None:
        """Removes the link that a killed process left. Raises Busy during a deployment."""
        with self.exclusive(project, wait=0.0):
            (self.site(project).folder / "next").unlink(missing_ok=True)

    def prune(self, releases: Callable[[], Sequence[Release]]) -> Pruned:
        kept = {release.id for release in releases()}
        return Pruned(folders=sum(Site(path).keep(kept) for path in self.root.glob("*/")))
