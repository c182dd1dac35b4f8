"""Execution of one plan on one target. In: the plan, the application, the observed state. Out: nothing, or
GateFailed with its reason. Never decides anything: the plan has decided.

The order of the lines in `bring_in` and `take_out` is the safety property: every new replica exists, runs and
has passed its gate before the edge switches, and no old replica stops before it is drained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from deployer.core.compose.update_config import LEAST_GRACE, grace_within
from deployer.core.errors import GateFailed
from deployer.core.model import ObservedState, Replica
from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.target import Target
from deployer.core.reporting.log_excerpt import failure_line
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.plan import (
    CREATE,
    DRAIN,
    GATE,
    PREFLIGHT,
    REMOVE,
    REST,
    RETIRE,
    START,
    STOP,
    SWITCH,
    Plan,
    Step,
)
from deployer.core.rollout.readiness import ANSWERED, Judgement, Readiness, Reading, judge_gate
from deployer.deployment.preflight import Preflight
from deployer.deployment.startup_times import StartupTimes

_TICK = 0.02  # seconds between two polls of a gate or a drain
_AGAIN = 0.005  # seconds between a first good answer and the second request
# Pause as a multiple of the polls' duration, and its limit in seconds: starting replicas need the processors,
# and a replica that does not answer must not hide another one's crash.
_REST, _LONGEST_REST = 3, 0.2
_STOPS_AT_ONCE = 8
_SWITCHED = "the edge sends new requests to", "the host's ports now belong to"
# Seconds that a stop waits for the one before, and for all stops together. Removing a container keeps the
# kernel busy: two at once make the longest gap 55 to 67 ms, one after the other 48 ms. Slow exits still
# overlap.
_STAGGER, _STAGGERS = 0.3, 0.7


@dataclass(frozen=True)
class Rollout:
    """Executes one plan; `say` must let no secret through."""

    application: DesiredState
    plan: Plan
    observed: ObservedState
    target: Target
    clock: Clock
    say: Say
    hide: Callable[[str], str]  # removes variable values from a replica's output
    startup_times: StartupTimes
    unserved: set[str]  # ids of replicas created here that never got a request; kept up here
    deadline: float  # on the monotonic clock; the gate fails then

    def bring_in(self) -> None:
        """Executes the plan up to the switch. Raises GateFailed before the old release is changed, except
        when the plan retires a replica first.
        """
        for step in self.plan.of(PREFLIGHT):
            self._preflight.try_out(step)
        self._remove(self.plan.of(REMOVE, -1))
        self._create([step for step in self.plan.of(CREATE) if self._is_early(step)])
        for level in self.plan.levels:
            self._retire(list(self.plan.of(RETIRE, level)))
            self._create([step for step in self.plan.of(CREATE, level) if not self._is_early(step)])
            self._rest(list(self.plan.of(REST, level)))
            self._start(list(self.plan.of(START, level)))
            self._gate(list(self.plan.of(GATE, level)))
            self._switch([step for step in self.plan.of(SWITCH, level) if not self._is_served(step)])
        self._switch([step for step in self.plan.of(SWITCH) if self._is_served(step)])

    @property
    def _preflight(self) -> Preflight:
        return Preflight(self.application, self.target, self.clock, self.say, self.hide)

    def drain(self) -> None:
        """Waits for requests that the old release still serves."""
        self._drain(list(self.plan.of(DRAIN)))

    def take_out(self) -> None:
        """Stops and removes superseded replicas. The new release already serves, so a failure here only
        leaves containers behind, unless old replicas still serve until their batch.
        """
        self._stop(list(self.plan.of(STOP)))
        self._remove(step for step in self.plan.of(REMOVE) if step.level >= 0)
        if not self.plan.later_batches:
            self.target.reconcile(self.application)

    def _is_early(self, step: Step) -> bool:
        """True if the new replica can be created while all old ones still run; a created container holds no
        port.
        """
        return self._service(step).start_first

    def _create(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        present = self.target.observe(self.plan.project)
        counts = {step.service: len(present.of(step.service)) + step.count for step in steps}
        self.say(CREATE, ", ".join(f"{step.service} ({step.cause})" for step in steps))
        self.target.create(self.application, counts)
        before = {replica.id for replica in present.replicas}
        self.unserved.update({one.id for one in self.target.observe(self.plan.project).replicas} - before)

    def _retire(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.say(RETIRE, f"{step.subject} ({step.cause})")
            self._stop_all(step)
            self.target.remove(step.replicas)

    def _rest(self, steps: Sequence[Step]) -> None:
        """Stops the old replicas without removing them, so that a rollback can start them again."""
        for step in steps:
            self.say(REST, f"{step.subject} ({step.cause})")
        self._stop_staggered(steps)

    def _start(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        arrivals = self._new_replicas_by_service(steps)
        stopped_for_rollback = {replica.id for step in steps for replica in step.replicas}
        replicas = [
            replica
            for group in arrivals.values()
            for replica in group
            if replica.state == "created" or replica.id in stopped_for_rollback
        ]
        if replicas:
            self.say(START, " ".join(replica.name for replica in replicas))
        ordered = self.startup_times.slowest_first(replicas)
        for rank in sorted({service.rank for service in arrivals}):
            mine = {service.name for service in arrivals if service.rank == rank}
            if first := [replica for replica in ordered if replica.service in mine]:
                self.target.start(self.plan.project, first)

    def _gate(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        proven = {replica.id for replica in self.observed.replicas if replica.serving}
        waiting = [
            (service, replica)
            for service, replicas in self._new_replicas_by_service(steps).items()
            for replica in replicas
            if replica.id not in proven
        ]
        begun = self.clock.monotonic()
        seen: dict[str, Reading] = {}
        while waiting:
            if self.clock.monotonic() > self.deadline:
                names = " ".join(replica.name for _, replica in waiting)
                raise GateFailed(
                    f"{names} not ready at the deployment's deadline", hint="server.deadline sets it"
                )
            looked = self.clock.monotonic()
            waiting = [pair for pair in waiting if not self._passed_gate(*pair, begun, seen)]
            if waiting:
                answering = any(seen[replica.id].answer == ANSWERED for _, replica in waiting)
                took = self.clock.monotonic() - looked
                self.clock.sleep(_AGAIN if answering else min(_LONGEST_REST, max(_TICK, _REST * took)))

    def _passed_gate(
        self, service: Service, replica: Replica, begun: float, seen: dict[str, Reading]
    ) -> bool:
        reading = self.target.read(self.plan.project, service, replica)
        before = seen.get(replica.id, Reading("created", "none"))
        seen[replica.id] = reading
        judgement = judge_gate(service, (before, reading), self.clock.monotonic() - begun)
        if judgement.verdict is Readiness.FAILED:
            raise self._refusal(service, replica, judgement)
        if judgement.verdict is Readiness.READY:
            self.say(GATE, f"{replica.name} {judgement.reason}")
            if not service.routes:  # its peers reach it, so it has begun to work
                self.unserved.discard(replica.id)
            self.startup_times.note(service.name, reading.started)
        return judgement.verdict is Readiness.READY

    def _refusal(self, service: Service, replica: Replica, judgement: Judgement) -> GateFailed:
        lines = [
            line.strip() for line in self.hide(self.target.log_tail(replica)).splitlines() if line.strip()
        ]
        for line in lines:
            self.say("log", f"{replica.name} | {line}")
        told = failure_line(lines)
        said = f"; it said: {told[:200]}" if told else ""
        return GateFailed(
            f"service {service.name} {judgement.reason}{said}",
            hint="the new replica's last log lines are in the deployment's events",
        )

    def _switch(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        now = self.target.observe(self.plan.project)
        serving = {service: self._replicas_to_serve(service, now) for service in map(self._service, steps)}
        self.unserved.difference_update(one.id for replicas in serving.values() for one in replicas)
        self.target.route(self.application, serving)
        for over in (False, True):
            chosen = [mine for service, mine in serving.items() if over == (not service.routes)]
            if names := " ".join(replica.name for replicas in chosen for replica in replicas):
                self.say(SWITCH, f"{_SWITCHED[over]} {names}")

    def _drain(self, steps: Sequence[Step]) -> None:
        begun = self.clock.monotonic()
        for step in steps:
            service = self._service(step)
            if service.notice_seconds:
                self._await_notice(step, begun + service.notice_seconds)
                continue
            deadline = min(self.deadline, self.clock.monotonic() + service.drain_seconds)
            while left := sum(self.target.sessions(self.plan.project, replica) for replica in step.replicas):
                if self.clock.monotonic() > deadline:
                    self.say(
                        DRAIN,
                        f"{step.subject}: {left} requests still run after {service.drain_seconds:.0f} s",
                    )
                    break
                self.clock.sleep(_TICK)
            else:
                self.say(DRAIN, f"{step.subject} has no request left")

    def _await_notice(self, step: Step, end: float) -> None:
        """Waits the notice period: only the external proxy knows which replica its requests go to."""
        self.clock.sleep(max(0.0, min(end, self.deadline) - self.clock.monotonic()))
        self.say(DRAIN, f"{step.subject}: the external proxy has had time to find the new replicas")

    def _stop(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        self.say(STOP, " ".join(step.subject for step in steps))
        self._stop_staggered([step for step in steps if step.service != EDGE])
        for step in steps:  # the edge last: the other stops remove their replicas from it
            if step.service == EDGE:
                self._stop_all(step)

    def _stop_staggered(self, steps: Sequence[Step]) -> None:
        apart = min(_STAGGER, _STAGGERS / max(1, len(steps)))
        with ThreadPoolExecutor(_STOPS_AT_ONCE) as pool:
            stops = []
            for step in steps:
                stops.append(pool.submit(self._stop_all, step))
                wait(stops[-1:], timeout=apart)
            for stop in stops:
                stop.result()

    def _stop_all(self, step: Step) -> None:
        service = self.application.service(step.service)
        wanted = service.grace_seconds if service else LEAST_GRACE
        for replica in step.replicas:
            begun = self.clock.monotonic()
            grace = grace_within(wanted, self.deadline - begun)
            self.target.stop(self.plan.project, replica, grace)
            if step.service != EDGE and self.clock.monotonic() - begun >= max(1.0, grace):
                cut = f" (of {wanted:.0f} s: the deployment's deadline)" if grace < wanted else ""
                self.say(
                    STOP,
                    f"{replica.name} was killed after {grace:.0f} s{cut}: it did not exit on its stop signal",
                )

    def _remove(self, steps: Iterable[Step]) -> None:
        """Removes replicas. Anonymous volumes go with a task, and with a replica that never served or whose
        volumes hold no data.
        """
        for step in steps:
            service = self.application.service(step.service)
            task = service is not None and service.completes
            scrap = [one for one in step.replicas if task or one.scratch or one.id in self.unserved]
            if scrap:
                self.target.remove(scrap, volumes=True)
            if kept := [replica for replica in step.replicas if replica not in scrap]:
                self.target.remove(kept)
            self.say(REMOVE, f"{step.subject} ({step.cause})")

    def _new_replicas_by_service(self, steps: Sequence[Step]) -> dict[Service, list[Replica]]:
        now = self.target.observe(self.plan.project)
        return {service: self._replicas_to_serve(service, now) for service in map(self._service, steps)}

    def _replicas_to_serve(self, service: Service, now: ObservedState) -> list[Replica]:
        """Returns the replicas that serve after this plan: those of this release, kept or created by it, and
        old ones that are kept for a later batch.
        """
        later_batches = self.plan.later_batches
        mine = (one for one in now.of(service.name) if one.spec == service.spec or one.id in later_batches)
        return [replica for replica in mine if replica.id not in self.plan.leaving]

    def _service(self, step: Step) -> Service:
        service = self.application.service(step.service)
        if service is None:
            raise LookupError(f"step {step.verb} names {step.service}, which the application lacks")
        return service

    def _is_served(self, step: Step) -> bool:
        return any(replica.serving for replica in self.observed.of(step.service))
