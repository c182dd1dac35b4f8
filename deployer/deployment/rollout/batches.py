"""Later batches of a rolling update (`update_config.parallelism`). In: a desired state of which some old
replicas serve on. Out: all of it is new, or the error that stopped it.

Each batch is a plan of its own, made from what is there, so it is resumed like any other. Until the last
batch the release may still be taken back.
"""

from __future__ import annotations

from deployer.core.compose.update_config import pause_within
from deployer.core.model import EventKind
from deployer.core.ports.target import DowntimeBudget
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_rollout
from deployer.deployment.rollout.plan_execution import Rollout
from deployer.deployment.rollout.rollout_setup import RolloutSetup


def run_batches(setup: RolloutSetup, budget: DowntimeBudget) -> None:
    """Raises BudgetExceeded before a batch stops anything. A pause beyond the deadline is left out."""
    plan: Plan | None = None
    while plan is None or plan.later_batches:
        _pause(setup)
        observed = setup.observe()
        plan = plan_rollout(setup.desired, observed, tasks=False)
        setup.journal.record(EventKind.PLAN, str(plan))
        rollout = Rollout(setup, plan, observed)
        rollout.bring_in()
        rollout.drain()
        budget.drained()
        budget.judge(wait=0.0)
        rollout.take_out()


def _pause(setup: RolloutSetup) -> None:
    pause = max(service.pace.delay for service in setup.desired.services)
    now = pause_within(pause, setup.deadline - setup.clock.monotonic())
    if now < pause:
        text = f"no pause of {pause:.0f} s before this batch: the deployment's deadline comes first"
        setup.journal.record(EventKind.PLAN, text)
    setup.clock.sleep(now)
