"""What the lines of the log are about."""

from __future__ import annotations

from deployer.core.model import Deployment, Kind, Run, Status, Trigger
from deployer.core.reporting.log_fields import log_fields


def test_a_line_about_a_deployment_names_it_and_its_place() -> None:
    deployment = Deployment(
        id="d1",
        app="shop",
        environment="production",
        kind=Kind.DEPLOY,
        trigger=Trigger.API,
        actor="ada",
        revision="a" * 40,
        status=Status.SUCCESS,
        reason="",
        created_at=1.0,
        started_at=None,
        ended_at=None,
        attempts=1,
        release="",
        run=Run(),
    )
    assert log_fields("deployment-ended", deployment, reason="") == {
        "facts": {
            "event": "deployment-ended",
            "deployment": "d1",
            "app": "shop",
            "environment": "production",
            "status": "success",
            "reason": "",
        }
    }


def test_a_line_about_nothing_in_particular_has_its_event() -> None:
    assert log_fields("stopping") == {"facts": {"event": "stopping"}}
