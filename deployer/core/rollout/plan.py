"""The plan: ordered steps from what runs to what should. A step is one action on one service, with its cause.

`str(plan)` is stable text: tests assert it, `deployer plan` prints it, the record keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployer.core.model import Replica

# In the order they are carried out; the new comes before the old except where a service is stop-first.
CREATE, RETIRE, PREFLIGHT, REST, START, GATE, SWITCH, DRAIN, STOP, REMOVE = (
    "create",
    "retire",
    "preflight",
    "rest",
    "start",
    "gate",
    "switch",
    "drain",
    "stop",
    "remove",
)


_IDLE = "the release comes back, and the data may be a newer one's (`--run-tasks` runs it)"


@dataclass(frozen=True)
class Step:
    """One action. `replicas` are those it is done to; new ones do not exist yet and are counted."""

    verb: str
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
    idle: tuple[str, ...] = ()  # one-shot tasks that lack a finished run and do not get one
    notes: tuple[str, ...] = ()  # sentences that people should read beside the steps
    staying: frozenset[str] = frozenset()  # ids of old replicas that go on serving until the next plan's turn

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(sorted({step.level for step in self.steps}))

    @property
    def leaving(self) -> frozenset[str]:
        """Ids of the replicas that this plan takes away: none of them may be sent a request."""
        return frozenset(
            replica.id
            for step in self.steps
            if step.verb in (RETIRE, REST, STOP, REMOVE)
            for replica in step.replicas
        )

    @property
    def forsaken(self) -> frozenset[str]:
        """Services of which this plan takes replicas away and brings none in."""
        away = {step.service for step in self.steps if step.verb in (RETIRE, REST, STOP, REMOVE)}
        return frozenset(away - {step.service for step in self.steps if step.verb in (CREATE, START)})

    @property
    def acts(self) -> frozenset[tuple[str, str]]:
        """Verb and service of each step, whatever the replicas are called."""
        return frozenset((step.verb, step.service) for step in self.steps)

    def of(self, verb: str, level: int | None = None) -> Iterator[Step]:
        """The steps with this verb, of one level or all."""
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
    """Whether the newest plan does what the one before the last did, and the last one did something else."""
    acts = [plan.acts for plan in plans[-3:]]
    return len(acts) == 3 and acts[0] == acts[2] != acts[1]
