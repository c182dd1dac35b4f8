"""Reconciliation of a project that another program changed during its rollout. In: the application that
serves. Out: exactly its containers run, or the last attempt's error.

`docker compose up` by hand during a rollout removes the new containers and recreates the old ones, over as
many seconds as a container takes to stop. Reconciliation therefore continues until the project was quiet for
that long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployer.core.compose.update_config import LEAST_GRACE, grace_within
from deployer.core.errors import Busy, DeployerError, PlansDisagree
from deployer.core.model import ObservedState
from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.target import Target
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.plan import Plan, goes_in_circles
from deployer.core.rollout.planner import is_reconciled, lacking, plan_rollout
from deployer.core.rollout.readiness import ANSWERED
from deployer.deployment.rollout import Rollout

_TICK = 0.25
_PATIENCE = 60.0  # seconds that the other program gets to finish
_MARGIN = 2.0  # seconds longer than a container takes to stop


@dataclass(frozen=True)
class Reconciler:
    """Reconciles one application after its rollout."""

    application: DesiredState
    target: Target
    clock: Clock
    say: Say
    rollout_of: Callable[[Plan, ObservedState], Rollout]
    deadline: float  # on the monotonic clock
    plans: list[Plan]  # executed so far, the rollout's first

    @property
    def needed(self) -> bool:
        return not is_reconciled(self.application, self._observe())

    @property
    def disturbed(self) -> bool:
        """True if another program changed the project: it has containers that no deployment created, or lacks
        more than the last plan removed.
        """
        return self._is_disturbed(self._observe())

    @property
    def lacking(self) -> bool:
        """True if a service does not run as desired."""
        return bool(lacking(self.application, self._observe()))

    def run(self) -> None:
        """Reconciles until the project is quiet. Raises the last attempt's error when changes never end,
        PlansDisagree when the plans undo each other.
        """
        last = self.clock.monotonic()
        longest = max((one.grace_seconds for one in self.application.services), default=0.0)
        quiet = grace_within(longest, self.deadline - last) + _MARGIN
        until = min(self.deadline, last + max(_PATIENCE, 3 * quiet))
        mute: set[str] = set()
        while self.clock.monotonic() < min(last + quiet, max(self.deadline, last + LEAST_GRACE + _MARGIN)):
            observed = self._observe()
            was, mute = mute, self._mute(observed)
            if gone := [one for one in observed.replicas if one.id in was & mute]:
                self.target.remove(gone)
                observed = self._observe()
            if is_reconciled(self.application, observed):
                self.clock.sleep(_TICK)
                continue
            failure = self._try(observed)
            last = self.clock.monotonic()
            if last > until:
                raise failure or Busy(
                    f"another program keeps changing {self.application.project}'s containers"
                )
            if failure:
                self.say("settle", f"failed, trying again: {failure}")
                self.clock.sleep(_TICK)

    def _observe(self) -> ObservedState:
        return self.target.observe(self.application.project)

    def _mute(self, observed: ObservedState) -> set[str]:
        """Returns ids of serving replicas that do not answer: another program is stopping them, which takes
        up to their whole grace period.
        """
        found: set[str] = set()
        for replica in observed.replicas:
            service = self.application.service(replica.service)
            if service and service.routes and replica.serving:
                reading = self.target.read(self.application.project, service, replica)
                found |= {replica.id} if reading.answer not in ("", ANSWERED) else set()
        return found

    def _is_disturbed(self, observed: ObservedState) -> bool:
        foreign = any(not replica.spec for replica in observed.replicas)
        return foreign or not set(lacking(self.application, observed)) <= self.plans[-1].forsaken

    def _try(self, observed: ObservedState) -> DeployerError | None:
        plan = plan_rollout(self.application, observed, tasks=False)
        others = self._is_disturbed(observed)
        cause = "another program changed containers" if others else "the previous plan left it unfinished"
        self.say("settle", f"{cause}; {plan}")
        self.plans.append(plan)
        if not others and goes_in_circles(self.plans):
            raise PlansDisagree(
                f"the plans for {self.application.project} undo each other, so this one is not executed",
                hint="look for two services that cannot run at once",
            )
        rollout = self.rollout_of(plan, observed)
        try:
            rollout.bring_in()
            rollout.drain()
            rollout.take_out()
        except DeployerError as error:
            return error
        return None
