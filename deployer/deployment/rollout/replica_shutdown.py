"""Shutdown of the replicas that a rollout replaces: drain, stop, remove. In: steps of a plan. Out: events.

Chooses no replica: the plan has chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from deployer.core.compose.update_config import LEAST_GRACE, grace_within
from deployer.core.rollout.desired_state import EDGE
from deployer.core.rollout.plan import Step, Verb
from deployer.deployment.rollout.rollout_setup import RolloutSetup

_TICK = 0.02  # seconds between two looks at a drain
_STOPS_AT_ONCE = 8
# Seconds that the next stop waits for the one before, and all of them together. Taking a container down keeps
# the kernel busy: two at once make the longest gap 55 to 67 ms where one after the other makes it 48. Slow
# exits still overlap.
_STAGGER, _STAGGERS = 0.3, 0.7


@dataclass(frozen=True)
class ReplicaShutdown:
    """Drains, stops and removes replicas of one project."""

    setup: RolloutSetup

    def drain(self, steps: Sequence[Step]) -> None:
        """Waits until the requests in flight have ended, or until a service's drain time is over."""
        begun = self.setup.clock.monotonic()
        for step in steps:
            service = self.setup.service_of(step)
            if service.notice_seconds:
                self._await_notice(step, begun + service.notice_seconds)
            else:
                self._await_requests(step, service.drain_seconds)

    def _await_requests(self, step: Step, seconds: float) -> None:
        setup = self.setup
        deadline = min(setup.deadline, setup.clock.monotonic() + seconds)
        while left := sum(setup.host.router.sessions(setup.project, replica) for replica in step.replicas):
            if setup.clock.monotonic() > deadline:
                setup.journal.record(
                    Verb.DRAIN, f"{step.subject}: {left} requests still run after {seconds:.0f} s"
                )
                return
            setup.clock.sleep(_TICK)
        setup.journal.record(Verb.DRAIN, f"{step.subject} has no request left")

    def _await_notice(self, step: Step, end: float) -> None:
        """Only the proxy in front knows where its requests go."""
        clock = self.setup.clock
        clock.sleep(max(0.0, min(end, self.setup.deadline) - clock.monotonic()))
        text = f"{step.subject}: the external proxy has had time to find the new replicas"
        self.setup.journal.record(Verb.DRAIN, text)

    def stop(self, steps: Sequence[Step]) -> None:
        """Stops services side by side, and the edge last: replicas take themselves out of it before."""
        if not steps:
            return
        self.setup.journal.record(Verb.STOP, " ".join(step.subject for step in steps))
        self.stop_staggered([step for step in steps if step.service != EDGE])
        for step in steps:
            if step.service == EDGE:
                self.stop_replicas(step)

    def stop_staggered(self, steps: Sequence[Step]) -> None:
        apart = min(_STAGGER, _STAGGERS / max(1, len(steps)))
        with ThreadPoolExecutor(_STOPS_AT_ONCE) as pool:
            stops = []
            for step in steps:
                stops.append(pool.submit(self.stop_replicas, step))
                wait(stops[-1:], timeout=apart)
            for stop in stops:
                stop.result()

    def stop_replicas(self, step: Step) -> None:
        setup = self.setup
        service = setup.desired.service(step.service)
        wanted = service.grace_seconds if service else LEAST_GRACE
        for replica in step.replicas:
            begun = setup.clock.monotonic()
            grace = grace_within(wanted, setup.deadline - begun)
            setup.host.runtime.stop(setup.project, replica, grace)
            if step.service != EDGE and setup.clock.monotonic() - begun >= max(1.0, grace):
                cut = f" (of {wanted:.0f} s: the deployment's deadline)" if grace < wanted else ""
                setup.journal.record(
                    Verb.STOP,
                    f"{replica.name} was killed after {grace:.0f} s{cut}: it did not exit on its stop signal",
                )

    def remove(self, steps: Iterable[Step]) -> None:
        """Removes replicas. One takes its nameless volumes along where it never served or they hold no data,
        and so does a task.
        """
        runtime = self.setup.host.runtime
        for step in steps:
            service = self.setup.desired.service(step.service)
            task = service is not None and service.completes
            scrap = [one for one in step.replicas if task or one.scratch or one.id in self.setup.unserved]
            if scrap:
                runtime.remove(scrap, volumes=True)
            if kept := [replica for replica in step.replicas if replica not in scrap]:
                runtime.remove(kept)
            self.setup.journal.record(Verb.REMOVE, f"{step.subject} ({step.cause})")
