"""Between deploys: what runs is served, and what nobody needs any more goes. In: an environment at rest.
Out: the names of the services that were routed anew.

Looks every few seconds, waits for nobody and starts nothing: what somebody stopped stays stopped.
"""

from __future__ import annotations

from deployer.core.application import EDGE, Service
from deployer.core.config import App, Environment
from deployer.core.health import ANSWERED
from deployer.core.model import Replica
from deployer.core.planner import plan_routes
from deployer.world import World, assembled


def reroute(environment: Environment, app: App, world: World) -> list[str]:
    """Points the edge at replicas that run, answer and are not served: a reboot or a restart by hand gave
    them new addresses, or they are healthy again. Takes those out that became unhealthy while others serve.
    Changes nothing else and waits for nobody; the names of the services it routed.
    """
    project = environment.project
    replicas = world.target.observe(project).replicas
    if replicas and all(replica.service == EDGE for replica in replicas):
        with world.target.exclusive(project, wait=0.0):
            world.target.clear(project)  # `docker compose down` by hand does not know the edge
    if not any(_is_misplaced(replica) for replica in replicas):
        return []
    serving = world.store.serving(app.name, environment.name)
    if serving is None:
        return []
    application = assembled(environment, world.store.release(serving.release), world)
    with world.target.exclusive(project, wait=0.0):
        now = world.target.observe(project)
        answering = {
            service: found
            for service, replicas in plan_routes(application, now).items()
            if (found := [replica for replica in replicas if _answers(service, replica, project, world)])
            and {one.id for one in found} != {one.id for one in now.of(service.name) if one.serving}
        }
        if answering:
            world.target.route(project, answering)
    return sorted(service.name for service in answering)


def renew(environment: Environment, world: World) -> bool:
    """Whether the edge serves other certificates now. Raises CertificateInvalid, and Busy during a deploy."""
    return world.target.renew_certificates(environment.project)


def _answers(service: Service, replica: Replica, project: str, world: World) -> bool:
    reading = world.target.read(project, service, replica)
    return replica.serving or reading.answer == ANSWERED or reading.health == "healthy"


def _is_misplaced(replica: Replica) -> bool:
    """Whether it runs and the edge may be wrong about it."""
    if not replica.running or replica.service == EDGE:
        return False
    return replica.serving == (replica.health == "unhealthy")
