"""Readiness gate of a rollout. In: replicas that were started. Out: nothing once each is ready, or
GateFailed.

Never decides what ready means: `core/rollout/readiness.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deployer.core.errors import GateFailed
from deployer.core.model import ContainerState, EventKind, Health, Replica
from deployer.core.reporting.log_excerpt import quotation
from deployer.core.rollout.desired_state import Service
from deployer.core.rollout.plan import Verb
from deployer.core.rollout.readiness import (
    ANSWERED,
    REFUSED,
    Judgement,
    Readiness,
    Reading,
    judge_gate,
    pause_after,
)
from deployer.deployment.rollout.rollout_setup import RolloutSetup

_TICK = 0.02  # seconds between two looks
_AGAIN = 0.005  # seconds from a first good answer to the question for the second
# Times as long as the looks took, and seconds at most: starting containers need the processors, and one that
# does not answer must not hide another's crash.
_REST, _LONGEST_REST = 3, 0.2


@dataclass(frozen=True)
class ReadinessGate:
    """The wait for the replicas of one plan's level."""

    setup: RolloutSetup
    _seen: dict[str, Reading] = field(default_factory=dict)
    _refusals: dict[str, int] = field(default_factory=dict)  # in a row
    _due: dict[str, float] = field(default_factory=dict)  # time of the next look, by the monotonic clock

    def await_ready(self, replicas: Mapping[Service, Sequence[Replica]]) -> None:
        """Raises GateFailed with the reason of the first replica that fails, or at the deadline."""
        clock = self.setup.clock
        waiting = [(service, replica) for service, group in replicas.items() for replica in group]
        begun = clock.monotonic()
        while waiting:
            self._check_deadline(waiting)
            looked = clock.monotonic()
            waiting = [pair for pair in waiting if not self._passed(*pair, begun)]
            if waiting:
                clock.sleep(self._rest(waiting, clock.monotonic() - looked))

    def _check_deadline(self, waiting: Sequence[tuple[Service, Replica]]) -> None:
        if self.setup.clock.monotonic() > self.setup.deadline:
            names = " ".join(replica.name for _, replica in waiting)
            raise GateFailed(
                f"{names} not ready at the deployment's deadline", hint="server.deadline sets it"
            )

    def _rest(self, waiting: Sequence[tuple[Service, Replica]], took: float) -> float:
        if any(self._seen[replica.id].answer == ANSWERED for _, replica in waiting):
            return _AGAIN
        return min(_LONGEST_REST, max(_TICK, _REST * took))

    def _passed(self, service: Service, replica: Replica, begun: float) -> bool:
        setup = self.setup
        if setup.clock.monotonic() < self._due.get(replica.id, 0.0):
            return False
        reading = setup.host.readiness.read(setup.project, service, replica)
        before = self._seen.get(replica.id, Reading(ContainerState.CREATED, Health.NONE))
        self._seen[replica.id] = reading
        refusals = self._refusals.get(replica.id, 0) + 1 if reading.answer.startswith(REFUSED) else 0
        self._refusals[replica.id] = refusals
        self._due[replica.id] = setup.clock.monotonic() + pause_after(refusals)
        judgement = judge_gate(service, (before, reading), setup.clock.monotonic() - begun)
        if judgement.verdict is Readiness.FAILED:
            raise self._refusal(service, replica, judgement)
        if judgement.verdict is Readiness.READY:
            setup.journal.record(Verb.GATE, f"{replica.name} {judgement.reason}")
            if not service.routes:  # its peers reach it, and its work has begun
                setup.unserved.discard(replica.id)
            setup.startup_times.note(service.name, reading.started)
        return judgement.verdict is Readiness.READY

    def _refusal(self, service: Service, replica: Replica, judgement: Judgement) -> GateFailed:
        journal = self.setup.journal
        text = journal.redact(self.setup.host.runtime.log_tail(replica))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for line in lines:
            journal.record(EventKind.LOG, f"{replica.name} | {line}")
        return GateFailed(
            f"service {service.name} {judgement.reason}{quotation(lines)}",
            hint="the new replica's last log lines are in the deployment's events",
        )
