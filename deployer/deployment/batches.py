"""The replicas whose turn comes later. In: an application of which some old replicas serve on. Out: all of it
is new, or the error that stopped it.

Each turn is a plan of its own, made from what is there, so it is resumed like any other. Until the last turn
the release may still be taken back.
"""

from __future__ import annotations

from collections.abc import Callable

from deployer.core.compose.update_config import pause_within
from deployer.core.model import ObservedState
from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.target import Target
from deployer.core.rollout.desired_state import Application
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.rollout import Rollout


def take_turns(
    application: Application,
    target: Target,
    clock: Clock,
    say: Say,
    rollout_of: Callable[[Plan, ObservedState], Rollout],
    judge: Callable[[], None],
    deadline: float,
) -> None:
    """`judge` may refuse a turn before anything of it is stopped. A pause beyond the deadline is left out."""
    pause = max(service.pace.delay for service in application.services)
    staying = True
    while staying:
        left = deadline - clock.monotonic()
        if (now := pause_within(pause, left)) < pause:
            say(
                "plan",
                f"no pause of {pause:.0f} s before this turn: the deadline comes first",
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
        staying = bool(plan.staying)
