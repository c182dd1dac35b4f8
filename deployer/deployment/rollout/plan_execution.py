"""Execution of one plan on one target. In: plan, desired state, observation. Out: nothing, or GateFailed with
the reason.

The order of the lines in `bring_in` and `take_out` is the safety property: everything new exists, runs and
has proven itself before the edge switches, and nothing old ends before it is drained. Chooses nothing: the
plan has chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployer.core.model import ContainerState, ObservedState, Replica
from deployer.core.rollout.desired_state import Service
from deployer.core.rollout.plan import Plan, Step, Verb
from deployer.deployment.rollout.preflight import Preflight
from deployer.deployment.rollout.readiness_gate import ReadinessGate
from deployer.deployment.rollout.replica_shutdown import ReplicaShutdown
from deployer.deployment.rollout.rollout_setup import RolloutSetup, replicas_to_serve

_SWITCHED = "the edge sends new requests to", "the host's ports now belong to"


@dataclass(frozen=True)
class Rollout:
    """Plan and the observation that it was made from."""

    setup: RolloutSetup
    plan: Plan
    observed: ObservedState

    def bring_in(self) -> None:
        """Carries out everything up to the switch. Raises GateFailed before anything of the old release was
        touched, except where the plan retires a replica first.
        """
        for step in self.plan.of(Verb.PREFLIGHT):
            self._preflight.try_out(step)
        self._shutdown.remove(self.plan.of(Verb.REMOVE, -1))
        self._create([step for step in self.plan.of(Verb.CREATE) if self._is_early(step)])
        for level in self.plan.levels:
            self._retire(list(self.plan.of(Verb.RETIRE, level)))
            self._create([step for step in self.plan.of(Verb.CREATE, level) if not self._is_early(step)])
            self._rest(list(self.plan.of(Verb.REST, level)))
            self._start(list(self.plan.of(Verb.START, level)))
            self._gate(list(self.plan.of(Verb.GATE, level)))
            self._switch([step for step in self.plan.of(Verb.SWITCH, level) if not self._is_served(step)])
        self._switch([step for step in self.plan.of(Verb.SWITCH) if self._is_served(step)])

    def drain(self) -> None:
        """Waits for requests that the old release still serves."""
        self._shutdown.drain(list(self.plan.of(Verb.DRAIN)))

    def take_out(self) -> None:
        """Stops and removes superseded replicas. The new release already serves, so a failure here only
        leaves containers behind, unless old replicas serve beside it until a later batch.
        """
        self._shutdown.stop(list(self.plan.of(Verb.STOP)))
        self._shutdown.remove(step for step in self.plan.of(Verb.REMOVE) if step.level >= 0)
        if not self.plan.later_batches:
            self.setup.host.router.reconcile(self.setup.desired)

    @property
    def _preflight(self) -> Preflight:
        setup = self.setup
        return Preflight(setup.desired, setup.host, setup.clock, setup.journal)

    @property
    def _shutdown(self) -> ReplicaShutdown:
        return ReplicaShutdown(self.setup)

    def _is_early(self, step: Step) -> bool:
        """True if the new replica can be created while all old ones still run; creating holds no port."""
        return self.setup.service_of(step).start_first

    def _is_served(self, step: Step) -> bool:
        return any(replica.serving for replica in self.observed.of(step.service))

    def _create(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        setup = self.setup
        present = setup.observe()
        counts = {step.service: len(present.of(step.service)) + step.count for step in steps}
        setup.journal.record(Verb.CREATE, ", ".join(f"{step.service} ({step.cause})" for step in steps))
        setup.host.runtime.create(setup.desired, counts)
        before = {replica.id for replica in present.replicas}
        setup.unserved.update({one.id for one in setup.observe().replicas} - before)

    def _retire(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.setup.journal.record(Verb.RETIRE, f"{step.subject} ({step.cause})")
            self._shutdown.stop_replicas(step)
            self.setup.host.runtime.remove(step.replicas)

    def _rest(self, steps: Sequence[Step]) -> None:
        """Stops the old replicas without removing them, so that a rollback can start them again."""
        for step in steps:
            self.setup.journal.record(Verb.REST, f"{step.subject} ({step.cause})")
        self._shutdown.stop_staggered(steps)

    def _start(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        wanted = self._new_replicas_by_service(steps)
        stopped_for_rollback = {replica.id for step in steps for replica in step.replicas}
        replicas = [
            replica
            for group in wanted.values()
            for replica in group
            if replica.state is ContainerState.CREATED or replica.id in stopped_for_rollback
        ]
        if replicas:
            self.setup.journal.record(Verb.START, " ".join(replica.name for replica in replicas))
        ordered = self.setup.startup_times.slowest_first(replicas)
        for rank in sorted({service.rank for service in wanted}):
            mine = {service.name for service in wanted if service.rank == rank}
            if first := [replica for replica in ordered if replica.service in mine]:
                self.setup.host.runtime.start(self.setup.project, first)

    def _gate(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        proven = {replica.id for replica in self.observed.replicas if replica.serving}
        waiting = {
            service: [replica for replica in replicas if replica.id not in proven]
            for service, replicas in self._new_replicas_by_service(steps).items()
        }
        ReadinessGate(self.setup).await_ready(waiting)

    def _switch(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        setup = self.setup
        serving = self._new_replicas_by_service(steps)
        setup.unserved.difference_update(one.id for replicas in serving.values() for one in replicas)
        setup.host.router.route(setup.desired, serving)
        for over in (False, True):
            chosen = [mine for service, mine in serving.items() if over == (not service.routes)]
            if names := " ".join(replica.name for replicas in chosen for replica in replicas):
                setup.journal.record(Verb.SWITCH, f"{_SWITCHED[over]} {names}")

    def _new_replicas_by_service(self, steps: Sequence[Step]) -> dict[Service, list[Replica]]:
        now = self.setup.observe()
        services = map(self.setup.service_of, steps)
        return {service: replicas_to_serve(self.plan, service, now) for service in services}
