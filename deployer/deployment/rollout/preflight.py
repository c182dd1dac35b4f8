"""Checks before a deployment's first change: conflicts on the target, data that a new container would not
have, and whether the new replica of a stop-first service starts at all. In: an application, a plan. Out:
nothing, a conflict, or GateFailed while the old replica still serves.

A copy that exits at once proves little by itself: without network and data, many good images give up. So the
old replica is copied too, and the new one is blamed only when the old copy stays up.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.docker.preflight_container import SECONDS
from deployer.core.errors import ContainerRefused, GateFailed
from deployer.core.model import EventKind, ObservedState, Replica
from deployer.core.permissions.grants import PowerRefused
from deployer.core.ports.clock import Clock
from deployer.core.ports.container_host import ContainerHost, ContainerRuntime, ReleaseFiles
from deployer.core.ports.journal import Journal
from deployer.core.reporting.log_excerpt import quotation
from deployer.core.rollout.conflicts import refuse_conflicts
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.plan import Plan, Step, Verb
from deployer.core.rollout.planner import plan_rollout

_TICK = 0.02


@dataclass(frozen=True)
class Preflight:
    """Starts copies for one rollout; the journal removes variable values from their output."""

    application: DesiredState
    host: ContainerHost
    clock: Clock
    journal: Journal

    def try_out(self, step: Step) -> None:
        """Raises GateFailed if the new copy fails and the old one, under the same conditions, does not."""
        begun = self.clock.monotonic()
        wrong = self._wrong(step.service, None)
        took = self.clock.monotonic() - begun
        if not wrong:
            self.journal.record(Verb.PREFLIGHT, f"a copy of the new {step.service} starts, {took:.1f} s")
        elif told := self._wrong(step.service, step.replicas[-1]):
            self.journal.record(Verb.PREFLIGHT, f"no result for {step.service}: a copy of the old one {told}")
        else:
            raise GateFailed(
                f"service {step.service}: a copy of the new one {wrong}, and a copy of the old one stays up",
                hint="the old one was not stopped; the copy had no network, no ports and no data",
            )

    def _wrong(self, service: str, old: Replica | None) -> str:
        """Returns why a copy did not stay up; empty if it did, or if it exited with code 0."""
        project = self.application.project
        try:
            replica = self.host.hooks.begin_copy(self.application, service, old)
        except PowerRefused as error:
            if old is None:
                raise
            return f"has powers that are not granted any more: {error}"
        except ContainerRefused as error:
            self.host.hooks.end_copy(project)
            return f"cannot be started: {error}"
        until = self.clock.monotonic() + SECONDS
        while (now := self.host.hooks.look(replica)) and now.running and self.clock.monotonic() < until:
            self.clock.sleep(_TICK)
        ended = now is not None and not now.running and now.exit_code
        text = self.journal.redact(self.host.runtime.log_tail(replica)) if ended else ""
        said = quotation(text.splitlines())
        self.host.hooks.end_copy(project)
        return f"ends at once with code {now.exit_code}{said}" if now and ended else ""


def tell_written(plan: Plan, observed: ObservedState, files: ReleaseFiles, journal: Journal) -> None:
    """Says what leaving replicas wrote to files of their release, and where it is kept. Containers have such
    files read-only, but for those of an older deployer. Raises StoreUnavailable.
    """
    for replica in observed.replicas:
        written = files.keep_written(replica) if replica.id in plan.leaving else {}
        for path, copies in written.items():
            journal.record(
                EventKind.WRITTEN,
                f"{replica.service} wrote to {path}, a file of the repository, and its next container has the"
                f" repository's text there; what was written is kept in {' '.join(copies)}: copy it to a"
                " named volume of the service",
            )


def refuse_taken(application: DesiredState, runtime: ContainerRuntime, tasks: bool) -> ObservedState | None:
    """Raises the conflicts of `refuse_conflicts` if the plan has steps. Returns the observed state if it has
    none, so that the caller need not observe again; None otherwise.
    """
    project = application.project
    observed = runtime.observe(project)
    if plan_rollout(application, observed, tasks=tasks).empty:
        return observed
    refuse_conflicts(application, runtime.occupied(project))
    return None
