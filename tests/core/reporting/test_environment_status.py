from __future__ import annotations

from deployer.core.model import Deployment, Health, Kind, ObservedState, Run, Status, Trigger
from deployer.core.reporting.environment_status import Overview, overview_text
from deployer.core.rollout.planner import plan_rollout
from testing.compose_models import application, replica, running

SERVING = Deployment(
    id="d1",
    app="shop",
    environment="production",
    kind=Kind.DEPLOY,
    trigger=Trigger.ACTION,
    actor="ada",
    revision="a" * 40,
    status=Status.SUCCESS,
    reason="",
    created_at=100.0,
    started_at=101.0,
    ended_at=120.0,
    attempts=1,
    release="r1",
    run=Run(7, 1),
)


def overview(observed: ObservedState, serving: Deployment | None = SERVING) -> Overview:
    plan = plan_rollout(application(), observed) if serving else None
    return Overview("shop", "production", "https://shop.example.com", serving, observed, plan)


def test_what_runs_as_deployed_has_no_drift() -> None:
    found = overview(running(application()))
    assert not found.drifted and found.facts()["drift"] == "none"
    assert overview_text(found, 240.0) == (
        "shop/production  https://shop.example.com\n"
        "  serves  aaaaaaa (release r1), deployed 2 min ago\n"
        "  edge          shop-deployer-edge-1          running, healthy\n"
        "  backend       shop-backend-1                running, healthy    aaaaaaaaaaaa\n"
        "  frontend      shop-frontend-1               running, healthy    bbbbbbbbbbbb\n"
        "  drift   none"
    )


def test_a_replica_that_is_gone_shows_as_the_plan_that_brings_it_back() -> None:
    app = application()
    found = overview(ObservedState(tuple(r for r in running(app).replicas if r.service != "backend")))
    assert found.drifted
    assert "a redeploy would repair it:\n    shop: 4 steps\n      1 create  backend" in overview_text(
        found, 240.0
    )
    assert "create  backend" in str(found.facts()["drift"])


def test_a_service_without_a_health_check_shows_its_state_only() -> None:
    app = application()
    text = overview_text(overview(ObservedState((replica(app, "frontend", health=Health.NONE),))), 240.0)
    assert "  frontend      shop-frontend-1               running             bbbbbbbbbbbb\n" in text


def test_before_the_first_deploy_there_is_nothing_to_drift_from() -> None:
    found = overview(ObservedState(()), None)
    assert not found.drifted and found.facts()["serving"] is None
    assert overview_text(found, 1.0) == (
        "shop/production  https://shop.example.com\n  serves  nothing was deployed yet"
    )
