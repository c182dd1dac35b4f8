"""One environment as it stands. In: what serves by the record, what was observed, and the plan between the
two. Out: text or plain values.

Drift is a plan that is not empty: what runs is not what was deployed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from deployer.core.model import Deployment, ObservedState
from deployer.core.reporting.deployment_text import ago, one_line
from deployer.core.rollout.desired_state import EDGE
from deployer.core.rollout.plan import Plan


@dataclass(frozen=True)
class Overview:
    """`plan` is what a redeploy would do now; None where nothing was deployed yet."""

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
        """For machines."""
        return {
            "app": self.app,
            "environment": self.environment,
            "url": self.url,
            "serving": asdict(self.serving) if self.serving else None,
            "drift": str(self.plan) if self.drifted else "none",
            "replicas": [asdict(replica) for replica in self.observed.replicas],
        }


def overview_text(overview: Overview, now: float) -> str:
    """For people."""
    lines = [
        f"{overview.app}/{overview.environment}  {overview.url}".rstrip(),
        f"  serves  {_serves(overview, now)}",
    ]
    for replica in overview.observed.replicas:
        service = "edge" if replica.service == EDGE else replica.service
        state = replica.state if replica.health == "none" else f"{replica.state}, {replica.health}"
        lines.append(f"  {service:<14}{replica.name:<30}{state:<20}{replica.digest[7:19]}".rstrip())
    if overview.drifted:
        plan = "\n".join(f"    {line}" for line in str(overview.plan).splitlines())
        lines.append(f"  drift   what runs is not what was deployed; a redeploy would mend it:\n{plan}")
    elif overview.plan:
        lines.append("  drift   none")
    return "\n".join(lines)


def _serves(overview: Overview, now: float) -> str:
    serving = overview.serving
    if serving is None:
        return "nothing was deployed yet"
    since = ago(serving.ended_at or serving.created_at, now)
    return f"{one_line(serving.revision[:7])} (release {serving.release}), deployed {since}"
