"""Rolling update in batches. In: an application whose old replicas partly still serve. Out: all replicas
replaced, or the error that stopped the update. Never keeps state of its own.

Each batch is planned from the observed state, so an interrupted update resumes like any other. Until the last
batch the release can still be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable

from deployer.core.compose.update_config import pause_within
from deployer.core.model import ObservedState
from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.target import Target
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.rollout import Rollout


def run_batches(
    application: DesiredState,
    target: Target,
    clock: Clock,
    say: Say,
    rollout_of: Callable[[Plan, ObservedState], Rollout],
    judge: Callable[[], None],
    deadline: float,
) -> None:
    """Runs the remaining batches. `judge` may refuse a batch before its old replicas are stopped. A pause
    that would pass the deadline is shortened or left out.
    """
    pause = max(service.pace.delay for service in application.services)
    later_batches = True
    while later_batches:
        left = deadline - clock.monotonic()
        if (now := pause_within(pause, left)) < pause:
            say(
                "plan",
                f"no pause of {pause:.0f} s before this batch: the deployment's deadline comes first",
            )
        clock.sleep(now)
        observed = target.observe(application.project)
        plan = plan_rollout(application, observed, tasks=False)
        say("plan", str(plan))
        rollout = rollout_of(plan, observed)
        rollout.bring_in()
        rollout.drain()
        judge()
        rollout.take_out()
        later_batches = bool(plan.later_batches)
