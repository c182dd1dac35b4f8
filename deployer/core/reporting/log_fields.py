"""What a line of the log is about, for machines. In: an event's stable name, a deployment. Out: what
`logging` takes as `extra`.
"""

from __future__ import annotations

from deployer.core.model import Deployment


def about(event: str, deployment: Deployment | None = None, **more: object) -> dict[str, dict[str, object]]:
    """`event` never changes once people filter by it; the words of the line may."""
    facts: dict[str, object] = {"event": event}
    if deployment:
        place = {"deployment": deployment.id, "app": deployment.app, "environment": deployment.environment}
        facts |= place | {"status": deployment.status.value}
    return {"facts": facts | more}
