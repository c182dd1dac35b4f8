"""Status of one environment. In: the serving deployment by the record, the observed state, and the plan
between the two. Out: text or plain values.

Drift is a plan that is not empty: the running state differs from the deployed one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from deployer.core.model import Deployment, Health, ObservedState, Replica
from deployer.core.reporting.deployment_text import ago, one_line
from deployer.core.rollout.desired_state import EDGE
from deployer.core.rollout.plan import Plan


@dataclass(frozen=True)
class Overview:
    """Status of one environment. `plan` is the plan of a redeploy now; None before the first deployment."""

    app: str
    environment: str
    url: str
    serving: Deployment | None
    observed: ObservedState
    plan: Plan | None

    @property
    def drifted(self) -> bool:
        return self.plan is not None and not self.plan.empty

    def facts(self) -> dict[str, object]:
        """Returns plain values, for machines."""
        return {
            "app": self.app,
            "environment": self.environment,
            "url": self.url,
            "serving": asdict(self.serving) if self.serving else None,
            "drift": str(self.plan) if self.drifted else "none",
            "replicas": [_facts_of(replica) for replica in self.observed.replicas],
        }


def _facts_of(replica: Replica) -> dict[str, object]:
    """A replica under the keys that scripts read; they are older than the names of the fields."""
    keys = {"parked": "aside", "port_successor": "heir"}
    return {keys.get(name, name): value for name, value in asdict(replica).items()}


def overview_text(overview: Overview, now: float) -> str:
    """Returns the status as text, for a terminal."""
    lines = [
        f"{overview.app}/{overview.environment}  {overview.url}".rstrip(),
        f"  serves  {_serves(overview, now)}",
    ]
    for replica in overview.observed.replicas:
        service = "edge" if replica.service == EDGE else replica.service
        state = replica.state if replica.health is Health.NONE else f"{replica.state}, {replica.health}"
        lines.append(f"  {service:<14}{replica.name:<30}{state:<20}{replica.digest[7:19]}".rstrip())
    if overview.drifted:
        plan = "\n".join(f"    {line}" for line in str(overview.plan).splitlines())
        lines.append(f"  drift   the project is not as deployed; a redeploy would repair it:\n{plan}")
    elif overview.plan:
        lines.append("  drift   none")
    return "\n".join(lines)


def _serves(overview: Overview, now: float) -> str:
    serving = overview.serving
    if serving is None:
        return "nothing was deployed yet"
    since = ago(serving.ended_at or serving.created_at, now)
    return f"{one_line(serving.revision[:7])} (release {serving.release}), deployed {since}"
