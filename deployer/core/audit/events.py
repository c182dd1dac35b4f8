"""Constructors of audit events. In: deploy jobs, deployments, tokens. Out: `Act`s, with no secret in them."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.core.audit.chain import Action, AuditEvent
from deployer.core.auth.api_tokens import Right
from deployer.core.images import Image
from deployer.core.model import DeployJob, Deployment

SERVER = "deployer"  # the actor that ends a deployment
LOCAL = "local"


def acceptance(job: DeployJob, id: str, outcome: str) -> AuditEvent:
    """Returns the event of an authorised deploy job and its outcome; the deployment `id` stands for it."""
    return AuditEvent(
        Action.ACCEPT,
        who=job.actor,
        origin=job.origin,
        app=job.app,
        environment=job.environment,
        verdict=outcome,
        facts={
            "deployment": id,
            "kind": job.kind,
            "trigger": job.trigger,
            "revision": job.revision,
            "release": job.release,
            "run": f"{job.run.number}.{job.run.attempt}" if job.run else "",
            "workflow": job.workflow,
        },
    )


def completion(deployment: Deployment, images: Mapping[str, Image]) -> AuditEvent:
    """Returns the event of a completed release: from here on the digests are fixed."""
    digests = {f"image {service}": str(image) for service, image in sorted(images.items())}
    return _of(
        Action.RELEASE, deployment, SERVER, deployment.revision, {"release": deployment.release, **digests}
    )


def ending(deployment: Deployment) -> AuditEvent:
    """Returns the event of a deployment's end; `serves before` is the revision that served when it began."""
    facts = {
        "release": deployment.release,
        "revision": deployment.revision,
        "serves before": deployment.previous,
        "reason": deployment.reason,
    }
    return _of(Action.END, deployment, SERVER, deployment.status, facts)


def confirmation(deployment: Deployment, verdict: str, reason: str) -> AuditEvent:
    """Returns the event of a confirmation; its actor is the runner that asked for the deployment, or a person
    with the right to deploy.
    """
    return _of(Action.CONFIRM, deployment, deployment.actor, verdict, {"reason": reason})


def refusal(origin: str, code: str, message: str, place: str, path: str = "") -> AuditEvent:
    """Returns the event of a refused request; `place` is method and rule, `path` the requested path."""
    facts = {"place": place, "message": message}
    if path and not place.endswith(f" {path}"):
        facts["path"] = path
    return AuditEvent(Action.REFUSE, who="", origin=origin, verdict=code, facts=facts)


def granting(name: str, app: str, can: frozenset[Right], expires_at: float | None) -> AuditEvent:
    end = "" if expires_at is None else f"{expires_at:.0f}"
    facts = {"token": name, "can": ",".join(sorted(can)), "expires": end}
    return AuditEvent(Action.GRANT, who=SERVER, origin=LOCAL, app=app, facts=facts)


def revoking(name: str) -> AuditEvent:
    return AuditEvent(Action.REVOKE, who=SERVER, origin=LOCAL, facts={"token": name})


def _of(
    action: Action, deployment: Deployment, who: str, verdict: str, facts: Mapping[str, str]
) -> AuditEvent:
    return AuditEvent(
        action,
        who=who,
        origin=LOCAL if who == SERVER else "",
        app=deployment.app,
        environment=deployment.environment,
        verdict=verdict,
        facts={"deployment": deployment.id, **facts},
    )
