"""Interface to a target: a place that runs the releases of environments. One implementation for each kind:
containers of one host (`deployment/containers/`), later several servers or a cluster.

A deployment opens a session on its target, and the session begins one rollout for each release that it needs:
the new one, and on the way back the one that served before. No method names a container, an image or a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.compose.endpoints import Endpoint
from deployer.core.config.settings import App, Environment
from deployer.core.model import DeployJob, Deployment, ObservedState, Release
from deployer.core.ports.journal import Journal
from deployer.core.rollout.changes import DryRun


class DowntimeBudget(Protocol):
    """Downtime budget of a deployment, while later parts of a rollout go on."""

    def drained(self) -> None:
        """Notes that no request is in flight on what was replaced."""

    def judge(self, wait: float = 0.0) -> None:
        """Raises BudgetExceeded if a downtime budget is used up, after `wait` seconds at the earliest."""


class ReleaseRollout(Protocol):
    """Release on its way into an environment. A method that is called again by a later process finds what
    an earlier one has done, and does the rest.
    """

    endpoints: Sequence[Endpoint]  # published ports, whose availability is measured
    one_way: bool  # nothing goes back to an older release once this one's pre-deploy hooks ran

    def check(self, *, tasks: bool) -> None:
        """Raises the conflict that would stop the rollout, before a request goes to what may be another
        project's. `tasks`: its one-shot tasks run. Touches nothing.
        """

    def fetch(self) -> None:
        """Brings everything that the release consists of to the target. Touches nothing that runs."""

    def plan(self, *, tasks: bool) -> bool:
        """Records the steps to the release in the journal; True if there are any. Raises a conflict."""

    def run_hooks(self, moment: HookMoment, deadline: float) -> bool:
        """Runs the release's hooks of one hook point; True if it has any. Raises HookFailed."""

    def bring_in(self) -> None:
        """Starts the release and sends requests to it once it is ready; touches nothing where the plan has no
        step. Raises GateFailed.
        """

    def drain(self) -> None:
        """Waits for requests that what it replaces still serves."""

    def take_out(self) -> None:
        """Removes what the release replaced. It serves already, so a failure leaves things behind only."""

    def complete(self, budget: DowntimeBudget) -> None:
        """Brings in parts of the release that wait for the first one, and undoes what another program changed
        meanwhile. Raises BudgetExceeded or GateFailed while parts of the old release still serve.
        """


class TargetSession(Protocol):
    """Work of one deployment on a target."""

    def begin(self, release: Release | None, deadline: float, *, forward: bool) -> ReleaseRollout:
        """Begins a rollout; touches nothing. None stands for an environment without services. `forward`: for
        the job's own release, which today's settings judge; others served before. `deadline`: on the
        monotonic clock.
        """

    @property
    def disturbed(self) -> bool:
        """True if another program changed the environment meanwhile."""

    def ran_hooks(self) -> bool:
        """True if a hook of this deployment has at least begun, also in a process that died."""

    def forget_hooks(self) -> None:
        """Removes the record of hooks that ran, at the deployment's end."""

    def close(self) -> None:
        """Keeps what later deployments want to know, such as startup durations. Raises StoreUnavailable."""


@dataclass(frozen=True)
class Pruned:
    """Numbers of removed things."""

    images: int = 0
    folders: int = 0


class Target(Protocol):
    """Runs the releases of environments."""

    def answers(self) -> bool:
        """True if the target can be reached now."""

    def exclusive(self, project: str, wait: float = 120.0) -> AbstractContextManager[None]:
        """Locks the project against every other process, even a child of a killed deployer. Raises Busy if
        the lock is not free within `wait` seconds.
        """

    def observe(self, project: str) -> ObservedState:
        """Returns what runs."""

    def open(self, deployment: Deployment, job: DeployJob, journal: Journal) -> TargetSession:
        """Begins one deployment's work; touches nothing."""

    def dry_run(
        self,
        environment: Environment,
        release: Release,
        *,
        tasks: bool = True,
        conflicts: bool = True,
        offline: bool = False,
    ) -> DryRun:
        """Returns the steps to a release, and touches nothing. Raises what a deploy would raise before its
        first change; without `conflicts`, no conflict. `offline`: asks no registry.
        """

    def maintenance(
        self, app: App, environment: Environment, newest: Deployment
    ) -> Sequence[Callable[[], object]]:
        """Returns short tasks for an environment without a running deployment; `newest` ended last. A task
        logs what it changed. Each may raise Busy, EngineUnavailable or another DeployerError.
        """

    def prune(self, releases: Callable[[], Sequence[Release]]) -> Pruned:
        """Removes what no release needs any more. `releases` reads all kept ones."""
