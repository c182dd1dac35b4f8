"""Status of one environment. In: the serving deployment by the record, the observed state, and the plan
between the two. Out: text or plain values.

Drift is a plan that is not empty: the running state differs from the deployed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from deployer.core.model import Deployment, Health, ObservedState, Replica
from deployer.core.reporting.deployment_text import ago, one_line
from deployer.core.reporting.terminal_table import lines_of, width_of, wrapped
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


def overview_text(overview: Overview, now: float, width: int = 0) -> str:
    """Returns the status as text for a terminal of `width` columns, 0 for no limit."""
    title, url = f"{overview.app}/{overview.environment}", overview.url
    fits = not width or len(f"{title}  {url}") <= width
    lines = [f"{title}  {url}".rstrip()] if fits else [title, f"  {url}"]
    lines += _told("serves", _serves(overview, now), width)
    lines += [f"  {line}" for line in _replicas(overview.observed.replicas, width - 2 if width else 0)]
    if overview.drifted:
        lines += _told("drift", "the project is not as deployed; a redeploy would repair it:", width)
        for line in str(overview.plan).splitlines():
            begin = " " * (4 + len(line) - len(line.lstrip()))
            lines += wrapped(line.lstrip(), width, indent=begin, hanging=f"{begin}  ")
    elif overview.plan:
        lines.append("  drift   none")
    return "\n".join(lines)


def _told(word: str, text: str, width: int) -> list[str]:
    return wrapped(text, width, indent=f"  {word:<8}", hanging=" " * 10)


def _replicas(replicas: Sequence[Replica], width: int) -> list[str]:
    """Returns the replicas as aligned lines. A narrow terminal does without the digest, then without the
    service's name, which the replica's has as well; at last the state is below the name.
    """
    table = {
        "service": ["edge" if one.service == EDGE else one.service for one in replicas],
        "name": [one.name for one in replicas],
        "state": [_state(one) for one in replicas],
        "digest": [one.digest[7:19] for one in replicas],
    }
    for column in ("digest", "service"):
        if width and width_of(table) > width:
            del table[column]
    if width and width_of(table) > width:
        return [line for one in replicas for line in (one.name, f"  {_state(one)}")]
    return lines_of(table, titles=False)


def _state(replica: Replica) -> str:
    return str(replica.state) if replica.health is Health.NONE else f"{replica.state}, {replica.health}"


def _serves(overview: Overview, now: float) -> str:
    serving = overview.serving
    if serving is None:
        return "nothing was deployed yet"
    since = ago(serving.ended_at or serving.created_at, now)
    return f"{one_line(serving.revision[:7])} (release {serving.release}), deployed {since}"
