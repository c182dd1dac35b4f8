"""Reconciliation of a project that another program changed while it was rolled out. In: the desired state
that serves. Out: it runs and nothing else does, or the last try's error.

`docker compose up` by hand in the middle of a rollout removes new containers and recreates the old ones, over
as many seconds as a container takes to stop. The reconciliation ends once the project was quiet for that
long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deployer.core.compose.update_config import LEAST_GRACE, grace_within
from deployer.core.errors import Busy, DeployerError, PlansDisagree
from deployer.core.model import EventKind, ObservedState
from deployer.core.rollout.plan import Plan, goes_in_circles
from deployer.core.rollout.planner import is_reconciled, lacking, plan_rollout
from deployer.core.rollout.readiness import ANSWERED
from deployer.deployment.rollout.plan_execution import Rollout
from deployer.deployment.rollout.rollout_setup import RolloutSetup

_TICK = 0.25
_PATIENCE = 60.0  # seconds for the other program to come to an end
_MARGIN = 2.0  # seconds longer than a container takes to stop


@dataclass
class Interference:
    """Changes of a project's containers by another program, as far as one deployment has seen them."""

    seen: bool = False
    foreign: set[str] = field(default_factory=set)  # ids of containers that no deployment made

    def note(self, observed: ObservedState, *, returning: bool) -> None:
        """Containers that appeared since the way forward began may be followed by more."""
        foreign = {replica.id for replica in observed.replicas if not replica.spec}
        self.seen = self.seen or (returning and not foreign <= self.foreign)
        self.foreign |= foreign


@dataclass(frozen=True)
class Reconciler:
    """Desired state after its rollout."""

    setup: RolloutSetup
    plans: list[Plan]  # executed so far, the rollout's first

    def run_if_needed(self, interference: Interference) -> bool:
        """True if the project had to be reconciled. Raises what `run` raises where a service is lacking."""
        if not (interference.seen or self.needed):
            return False
        interference.seen = interference.seen or self.disturbed
        try:
            self.run()
        except DeployerError as error:
            if self.lacking:
                raise
            self.setup.journal.record(EventKind.UNTIDY, f"the release serves, {error}")
        return True

    @property
    def needed(self) -> bool:
        return not is_reconciled(self.setup.desired, self.setup.observe())

    @property
    def disturbed(self) -> bool:
        """True if containers exist that no deployment made, or more is gone than the last plan removed."""
        return self._is_disturbed(self.setup.observe())

    @property
    def lacking(self) -> bool:
        """True if a service does not run as it should."""
        return bool(lacking(self.setup.desired, self.setup.observe()))

    def run(self) -> None:
        """Raises the last try's error when the changes do not end, PlansDisagree when the plans undo each
        other.
        """
        clock, deadline = self.setup.clock, self.setup.deadline
        last = clock.monotonic()
        longest = max((one.grace_seconds for one in self.setup.desired.services), default=0.0)
        quiet = grace_within(longest, deadline - last) + _MARGIN
        until = min(deadline, last + max(_PATIENCE, 3 * quiet))
        mute: set[str] = set()
        while clock.monotonic() < min(last + quiet, max(deadline, last + LEAST_GRACE + _MARGIN)):
            observed = self.setup.observe()
            was, mute = mute, self._mute(observed)
            if gone := [one for one in observed.replicas if one.id in was & mute]:
                self.setup.host.runtime.remove(gone)
                observed = self.setup.observe()
            if is_reconciled(self.setup.desired, observed):
                clock.sleep(_TICK)
                continue
            failure = self._try(observed)
            last = clock.monotonic()
            if last > until:
                raise failure or Busy(f"another program keeps changing {self.setup.project}'s containers")
            if failure:
                self.setup.journal.record(EventKind.RECONCILE, f"failed, trying again: {failure}")
                clock.sleep(_TICK)

    def _mute(self, observed: ObservedState) -> set[str]:
        """Ids of served replicas that do not answer: another program is stopping them, which takes up to
        their whole grace period.
        """
        found: set[str] = set()
        for replica in observed.replicas:
            service = self.setup.desired.service(replica.service)
            if service and service.routes and replica.serving:
                reading = self.setup.host.readiness.read(self.setup.project, service, replica)
                found |= {replica.id} if reading.answer not in ("", ANSWERED) else set()
        return found

    def _is_disturbed(self, observed: ObservedState) -> bool:
        foreign = any(not replica.spec for replica in observed.replicas)
        return foreign or not set(lacking(self.setup.desired, observed)) <= self.plans[-1].forsaken

    def _try(self, observed: ObservedState) -> DeployerError | None:
        plan = plan_rollout(self.setup.desired, observed, tasks=False)
        others = self._is_disturbed(observed)
        cause = "another program changed containers" if others else "the previous plan left it unfinished"
        self.setup.journal.record(EventKind.RECONCILE, f"{cause}; {plan}")
        self.plans.append(plan)
        if not others and goes_in_circles(self.plans):
            raise PlansDisagree(
                f"the plans for {self.setup.project} undo each other, so this one is not executed",
                hint="look for two services that cannot run at once",
            )
        rollout = Rollout(self.setup, plan, observed)
        try:
            rollout.bring_in()
            rollout.drain()
            rollout.take_out()
        except DeployerError as error:
            return error
        return None
