"""Structured-logging fields. In: an event's stable name, a deployment. Out: the argument `extra` of
`logging`.
"""

from __future__ import annotations

from deployer.core.model import Deployment


def log_fields(
    event: str, deployment: Deployment | None = None, **more: object
) -> dict[str, dict[str, object]]:
    """Returns the log fields. `event` must never change, as operators filter by it; the message may."""
    facts: dict[str, object] = {"event": event}
    if deployment:
        place = {"deployment": deployment.id, "app": deployment.app, "environment": deployment.environment}
        facts |= place | {"status": deployment.status.value}
    return {"facts": facts | more}
