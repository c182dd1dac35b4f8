"""Maintenance between deploys: repairs proxy routes, renews certificates, removes orphaned edges. In: an
environment without a running deployment. Out: what serves is reached, and a log line tells each change.

Looks every few seconds, never waits and never starts a container: a service that a person stopped stays
stopped. The minute after a deployment is an exception: `docker compose up` by hand that read the containers
before the deployment's end acts on that old state and removes replicas that serve now.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from deployer.core.config.settings import App, Environment
from deployer.core.model import Deployment, Health, Replica
from deployer.core.ports.journal import JournalKind
from deployer.core.redaction import redact
from deployer.core.reporting.log_fields import log_fields
from deployer.core.rollout.desired_state import EDGE, Service
from deployer.core.rollout.plan import Plan
from deployer.core.rollout.planner import plan_routes
from deployer.core.rollout.readiness import ANSWERED
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.release_state import assembled
from deployer.deployment.rollout.reconcile import Reconciler
from deployer.deployment.rollout.rollout_setup import RolloutSetup
from deployer.deployment.rollout.startup_times import StartupTimes

_log = logging.getLogger("deployer.worker")
_AFTERMATH = 60.0  # seconds after a deployment in which containers that it did not create are replaced


def reroute(app: App, environment: Environment, context: ContainerContext) -> list[str]:
    """Points the edge at replicas that run and answer but are not served, because a reboot or a restart by
    hand gave them new addresses or because they are healthy again. Removes replicas that became unhealthy
    while others serve. Changes nothing else and never waits. Returns the names of the services with changed
    routes.
    """
    project = environment.project
    replicas = context.host.runtime.observe(project).replicas
    alone = bool(replicas) and all(replica.service == EDGE for replica in replicas)
    if alone and not _is_scaled_to_nothing(app, environment, context):
        with context.host.locks.exclusive(project, wait=0.0):
            context.host.router.clear(project)  # `docker compose down` by hand does not know the edge
    if not any(_is_misplaced(replica) for replica in replicas):
        return []
    serving = context.store.deployments.serving(app.name, environment.name)
    if serving is None:
        return []
    application = assembled(environment, context.store.releases.get(serving.release), context)
    with context.host.locks.exclusive(project, wait=0.0):
        now = context.host.runtime.observe(project)
        answering = {
            service: found
            for service, replicas in plan_routes(application, now).items()
            if (found := [replica for replica in replicas if _answers(service, replica, project, context)])
            and {one.id for one in found} != {one.id for one in now.of(service.name) if one.serving}
        }
        if answering:
            context.host.router.route(application, answering)
    routed = sorted(service.name for service in answering)
    if routed:
        told = log_fields("rerouted", app=app.name, environment=environment.name)
        _log.warning("%s: the edge routes to %s again", project, ", ".join(routed), extra=told)
    return routed


def _is_scaled_to_nothing(app: App, environment: Environment, context: ContainerContext) -> bool:
    """True if the serving release has an edge and not a single replica behind it (`replicas: 0`)."""
    serving = context.store.deployments.serving(app.name, environment.name)
    if serving is None:
        return False
    application = assembled(environment, context.store.releases.get(serving.release), context)
    return all(service.name == EDGE or not service.replicas for service in application.services)


def reconcile_after(deployment: Deployment, environment: Environment, context: ContainerContext) -> bool:
    """Returns True if foreign containers had to be replaced soon after `deployment`, the newest one of the
    environment, which has ended. Raises Busy during the next deployment, and the error of the last try to
    reconcile.
    """
    project, now = environment.project, context.clock.now()
    if deployment.ended_at is None or not 0 <= now - deployment.ended_at <= _AFTERMATH:
        return False
    if all(replica.spec for replica in context.host.runtime.observe(project).replicas):
        return False
    serving = context.store.deployments.serving(deployment.app, deployment.environment)
    if serving is None:
        return False
    release = context.store.releases.get(serving.release)
    with context.host.locks.exclusive(project, wait=0.0):
        setup = RolloutSetup(
            assembled(environment, release, context),
            context.host,
            context.clock,
            _MaintenanceJournal(deployment, project, release.variables),
            StartupTimes(deployment, context.store.startup_durations, context.clock),
            set(),
            context.clock.monotonic() + context.config.deadline,
        )
        Reconciler(setup, [Plan(project, ())]).run()
    return True


@dataclass(frozen=True)
class _MaintenanceJournal:
    """Implements `ports.Journal` where no deployment runs: its events are log lines."""

    deployment: Deployment
    project: str
    variables: Mapping[str, str]

    def record(self, kind: JournalKind, text: str) -> None:
        told = log_fields("settled-after", self.deployment)
        _log.warning("%s, after its deployment: %s: %s", self.project, kind, text, extra=told)

    def redact(self, text: str) -> str:
        return redact(text, self.variables)


def renew(app: App, environment: Environment, context: ContainerContext) -> bool:
    """Returns True if the edge now serves other certificates. Raises CertificateInvalid, and Busy during a
    deploy.
    """
    renewed = context.host.router.renew_certificates(environment.project)
    if renewed:
        told = log_fields("certificates-renewed", app=app.name, environment=environment.name)
        _log.info("%s: the edge serves other certificates now", environment.project, extra=told)
    return renewed


def _answers(service: Service, replica: Replica, project: str, context: ContainerContext) -> bool:
    reading = context.host.readiness.read(project, service, replica)
    return replica.serving or reading.answer == ANSWERED or reading.health is Health.HEALTHY


def _is_misplaced(replica: Replica) -> bool:
    """True if the replica runs and its route at the edge may be wrong."""
    if not replica.running or replica.service == EDGE:
        return False
    return replica.serving == (replica.health is Health.UNHEALTHY)
