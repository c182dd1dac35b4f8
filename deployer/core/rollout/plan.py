"""The plan: ordered steps from the observed state to the desired one. A step is one action on one service,
with its cause. Never executes one.

`str(plan)` is stable text: tests assert it, `deployer plan` prints it, the record keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deployer.core.model import Replica


class Verb(StrEnum):
    """Action of a step, in order of execution; the new replica comes before the old one unless the service is
    stop-first.
    """

    CREATE = "create"
    RETIRE = "retire"
    PREFLIGHT = "preflight"
    REST = "rest"
    START = "start"
    GATE = "gate"
    SWITCH = "switch"
    DRAIN = "drain"
    STOP = "stop"
    REMOVE = "remove"


_STARTING = (Verb.CREATE, Verb.START)
_LEAVING = (Verb.RETIRE, Verb.REST, Verb.STOP, Verb.REMOVE)
_IDLE = "the release comes back, and the data may be a newer one's (`--run-tasks` runs it)"


@dataclass(frozen=True)
class Step:
    """Action on one service. `replicas` are the existing replicas that it applies to; `count` is the number
    of new ones, which have no names yet.
    """

    verb: Verb
    service: str
    level: int
    cause: str
    replicas: tuple[Replica, ...] = ()
    count: int = 0

    @property
    def subject(self) -> str:
        if self.replicas:
            return " ".join(replica.name for replica in self.replicas)
        return f"{self.count} new" if self.count else ""


@dataclass(frozen=True)
class Plan:
    """All steps of one rollout, in order."""

    project: str
    steps: tuple[Step, ...]
    idle: tuple[str, ...] = ()  # one-shot tasks without a finished run that this plan does not run
    notes: tuple[str, ...] = ()  # sentences printed below the steps
    later_batches: frozenset[str] = (
        frozenset()
    )  # ids of old replicas that serve on until the next batch's plan

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(sorted({step.level for step in self.steps}))

    @property
    def leaving(self) -> frozenset[str]:
        """Ids of the replicas that this plan stops or removes: none of them may be sent a request."""
        return frozenset(
            replica.id for step in self.steps if step.verb in _LEAVING for replica in step.replicas
        )

    @property
    def forsaken(self) -> frozenset[str]:
        """Services that this plan takes replicas from without starting others."""
        away = {step.service for step in self.steps if step.verb in _LEAVING}
        return frozenset(away - {step.service for step in self.steps if step.verb in _STARTING})

    @property
    def actions(self) -> frozenset[tuple[Verb, str]]:
        """Verb and service of each step, without the replicas' names."""
        return frozenset((step.verb, step.service) for step in self.steps)

    def of(self, verb: Verb, level: int | None = None) -> Iterator[Step]:
        """Returns the steps with this verb, of one level or all."""
        return (step for step in self.steps if step.verb == verb and level in (None, step.level))

    def __str__(self) -> str:
        idle = [f"    {name} does not run: {_IDLE}" for name in self.idle]
        idle += [f"    {note}" for note in self.notes]
        if self.empty:
            return "\n".join((f"{self.project}: nothing to do, this release is what runs", *idle))
        rows = [(step.verb, step.service, step.subject, step.cause) for step in self.steps]
        wide = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = (
            f"{n:>3} {row[0]:<{wide[0]}}  {row[1]:<{wide[1]}}  {row[2]:<{wide[2]}}  {row[3]}".rstrip()
            for n, row in enumerate(rows, 1)
        )
        return "\n".join((f"{self.project}: {len(rows)} steps", *lines, *idle))


def goes_in_circles(plans: Sequence[Plan]) -> bool:
    """True if the newest plan repeats the steps of the plan before the last one, and the last one had other
    steps.
    """
    actions = [plan.actions for plan in plans[-3:]]
    return len(actions) == 3 and actions[0] == actions[2] != actions[1]
