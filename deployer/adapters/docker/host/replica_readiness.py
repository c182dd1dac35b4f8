"""Readiness of replicas on one engine. In: a replica. Out: one reading of its state, health and answer.

Never decides what ready means: `core/rollout/readiness.py` does.
"""

from __future__ import annotations

from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.host.project_edges import ProjectEdges
from deployer.adapters.docker.inspection import address_of
from deployer.adapters.probes.single_request import ask_http, ask_tcp
from deployer.core.model import ContainerState, Health, Replica
from deployer.core.rollout.desired_state import EDGE, Service
from deployer.core.rollout.readiness import ANSWERED, Reading


class ReplicaReadiness:
    """Implements `ReadinessReader`."""

    def __init__(self, engine: Engine, edges: ProjectEdges) -> None:
        self._engine = engine
        self._edges = edges
        self.reached: set[tuple[str, str]] = set()  # project and service whose own check was answered to us

    def read(self, project: str, service: Service, replica: Replica) -> Reading:
        now = self._engine.containers.look(replica)
        if now is None:
            return Reading(ContainerState.REMOVED, Health.NONE)
        answer = self.ask(project, service, now)
        return Reading(now.state, now.health, now.exit_code, now.restarts, answer, now.started)

    def ask(self, project: str, service: Service, replica: Replica) -> str:
        """Returns `ANSWERED`, the reason for a bad answer, or an empty text if nothing is asked."""
        if service.name == EDGE:
            return ANSWERED if self._edges.of(project).is_running() else "no answer on its socket"
        if not replica.running or not replica.addresses:
            return ""
        if service.probe:
            answer = ask_http(address_of(replica), service.probe)
            if answer == ANSWERED:
                self.reached.add((project, service.name))
            return answer
        answers = [ask_tcp(address_of(replica), port) for port in service.asks]
        if not answers or ANSWERED in answers:
            return ANSWERED if answers else ""
        return "" if service.presumed else answers[0]
