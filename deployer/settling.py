"""Making a project right again that somebody else changed while it was being rolled out. In: the application
that serves. Out: it runs and nothing else does, or the last try's error.

`docker compose up` by hand in the middle of a rollout takes away what is new and makes the old anew, over as
many seconds as a container takes to stop. Whoever was seen at it is waited for: until it was quiet for that
long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployer.core.application import Application
from deployer.core.errors import Busy, DeployerError
from deployer.core.health import ANSWERED
from deployer.core.model import Replica
from deployer.core.planner import is_settled, lacking, plan_rollout
from deployer.core.ports import Clock, Say, Target
from deployer.rollout import Rollout

_TICK = 0.25
_PATIENCE = 60.0  # seconds for whoever is at work to come to an end
_MARGIN = 2.0  # seconds longer than a container takes to stop


@dataclass(frozen=True)
class Settling:
    """One application after its rollout."""

    application: Application
    target: Target
    clock: Clock
    say: Say
    hide: Callable[[str], str]
    deadline: float  # on the monotonic clock

    @property
    def needed(self) -> bool:
        return not is_settled(self.application, self.target.observe(self.application.project))

    @property
    def lacking(self) -> bool:
        """Whether a service does not run as it should."""
        return bool(lacking(self.application, self.target.observe(self.application.project)))

    def run(self) -> None:
        """Raises what the last try raised when there is no end to it."""
        quiet = max((one.grace_seconds for one in self.application.services), default=0.0) + _MARGIN
        last = self.clock.monotonic()
        until = min(self.deadline, last + max(_PATIENCE, 3 * quiet))
        mute: set[str] = set()
        while self.clock.monotonic() < last + quiet:
            was, mute = mute, self._mute()
            self.target.remove([one for one in self._here() if one.id in was & mute])
            if not self.needed:
                self.clock.sleep(_TICK)
                continue
            failure = self._try()
            last = self.clock.monotonic()
            if last > until:
                raise failure or Busy(f"somebody keeps changing containers of {self.application.project}")
            if failure:
                self.say("settle", f"not yet: {failure}")
                self.clock.sleep(_TICK)

    def _here(self) -> tuple[Replica, ...]:
        return self.target.observe(self.application.project).replicas

    def _mute(self) -> set[str]:
        """Ids of served replicas that do not answer: somebody is stopping them, which takes up to their whole
        grace period.
        """
        found: set[str] = set()
        for replica in self._here():
            service = self.application.service(replica.service)
            if service and service.routes and replica.serving:
                reading = self.target.read(self.application.project, service, replica)
                found |= {replica.id} if reading.answer not in ("", ANSWERED) else set()
        return found

    def _try(self) -> DeployerError | None:
        project = self.application.project
        observed = self.target.observe(project)
        plan = plan_rollout(self.application, observed, tasks=False)
        self.say("settle", f"somebody else changed containers meanwhile; {plan}")
        rollout = Rollout(
            self.application, plan, observed, self.target, self.clock, self.say, self.hide, self.deadline
        )
        try:
            rollout.bring_in()
            rollout.drain()
            rollout.take_out()
        except DeployerError as error:
            return error
        return None
