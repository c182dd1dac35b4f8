"""Containers that run once: hooks, and copies of replicas. In: an application, a hook or a service. Out: the
container, started.
"""

from __future__ import annotations

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.replica_requests import ReplicaRequests
from deployer.core.compose.deploy_hooks import Hook
from deployer.core.docker import container_requests as requests
from deployer.core.docker.preflight_container import COPY, name_of_copy
from deployer.core.model import ContainerState, Replica
from deployer.core.rollout.desired_state import DesiredState


class DockerHooks:
    """Implements `HookRunner`."""

    def __init__(self, engine: Engine, compose: Compose, replica_requests: ReplicaRequests) -> None:
        self._engine = engine
        self._compose = compose
        self._replica_requests = replica_requests

    def begin_hook(self, application: DesiredState, hook: Hook, deployment: str) -> Replica:
        name, project = requests.hook_name(application.project, hook), application.project
        there = {key: one for key, one in self._engine.containers.hooks(project).items() if key[0] == name}
        mine = there.get((name, deployment))
        if mine and (mine.running or (mine.state is ContainerState.EXITED and not mine.exit_code)):
            return mine
        for other in there.values():
            self._engine.containers.remove(other)
        self._create(application, hook, name, deployment)
        made = self._engine.containers.hooks(project)[name, deployment]
        self._engine.containers.start(made)
        return made

    def _create(self, application: DesiredState, hook: Hook, name: str, deployment: str) -> None:
        project, service = application.project, application.service(hook.service)
        one = self._replica_requests.recorded(application, hook.service)
        assert service and service.image
        image = self._engine.images.find_id(service.image)
        identity = requests.ContainerIdentity(name, 1, image, str(self._compose.models.path(project)), {})
        body = requests.hook_body(one, service, hook, identity, deployment)
        present = self._replica_requests.present(application, self._engine.containers.observe(project))
        permitted = self._replica_requests.permit(application, service, name, body, present, one.archives)
        self._engine.containers.create(permitted)

    def begin_copy(self, application: DesiredState, service: str, old: Replica | None) -> Replica:
        project, name = application.project, name_of_copy(application.project, service)
        self.end_copy(project)
        details = self._engine.containers.details(old) if old else None
        self._engine.containers.create(self._replica_requests.copy(application, service, name, details))
        made = self._engine.containers.hooks(project)[name, COPY]
        self._engine.containers.start(made)
        return made

    def end_copy(self, project: str) -> None:
        for (_, deployment), replica in self._engine.containers.hooks(project).items():
            if deployment == COPY:
                self._engine.containers.remove(replica, volumes=True)

    def has_hooks(self, project: str, deployment: str) -> bool:
        return any(of == deployment for _, of in self._engine.containers.hooks(project))

    def end_hooks(self, project: str) -> None:
        for replica in self._engine.containers.hooks(project).values():
            self._engine.containers.remove(replica, volumes=True)

    def look(self, replica: Replica) -> Replica | None:
        return self._engine.containers.look(replica)
