"""Dependencies that all rollouts of one desired state share: its host, its journal, its deadline."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.model import ObservedState, Replica
from deployer.core.ports.clock import Clock
from deployer.core.ports.container_host import ContainerHost
from deployer.core.ports.journal import Journal
from deployer.core.rollout.desired_state import DesiredState, Service
from deployer.core.rollout.plan import Plan, Step
from deployer.deployment.rollout.startup_times import StartupTimes


@dataclass(frozen=True)
class RolloutSetup:
    """Desired state with what its rollouts need."""

    desired: DesiredState
    host: ContainerHost
    clock: Clock
    journal: Journal
    startup_times: StartupTimes
    unserved: set[str]  # ids of replicas that this deployment made and that nothing was routed to; kept up
    deadline: float  # on the monotonic clock; a replica that is not ready by then is not waited for

    @property
    def project(self) -> str:
        return self.desired.project

    def service_of(self, step: Step) -> Service:
        """The service that a step is about. Raises LookupError for a plan of another desired state."""
        service = self.desired.service(step.service)
        if service is None:
            raise LookupError(f"step {step.verb} names {step.service}, which the application lacks")
        return service

    def observe(self) -> ObservedState:
        return self.host.runtime.observe(self.project)


def replicas_to_serve(plan: Plan, service: Service, now: ObservedState) -> list[Replica]:
    """The replicas of a service that serve after a plan: of its release, kept or created by it, and old ones
    of a later batch.
    """
    later = plan.later_batches
    mine = (one for one in now.of(service.name) if one.spec == service.spec or one.id in later)
    return [replica for replica in mine if replica.id not in plan.leaving]
