from __future__ import annotations

import dataclasses

import pytest

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
        "  edge      shop-deployer-edge-1  running, healthy\n"
        "  backend   shop-backend-1        running, healthy  aaaaaaaaaaaa\n"
        "  frontend  shop-frontend-1       running, healthy  bbbbbbbbbbbb\n"
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
    assert "  frontend  shop-frontend-1  running  bbbbbbbbbbbb\n" in text


def test_before_the_first_deploy_there_is_nothing_to_drift_from() -> None:
    found = overview(ObservedState(()), None)
    assert not found.drifted and found.facts()["serving"] is None
    assert overview_text(found, 1.0) == (
        "shop/production  https://shop.example.com\n  serves  nothing was deployed yet"
    )


LONG = "recommendations-sync-workers"  # 28 characters


def long_names(*, drifted: bool = False) -> Overview:
    found = overview(running(application()))
    named = {"backend": LONG}
    replicas = tuple(
        dataclasses.replace(one, service=named[one.service], name=f"shop-{LONG}-1")
        if one.service in named
        else one
        for one in found.observed.replicas
    )
    plan = found.plan if not drifted else plan_rollout(application(), ObservedState(()))
    return dataclasses.replace(found, observed=ObservedState(replicas), plan=plan)


def test_w7_long_names_stand_in_columns_of_their_own() -> None:
    text = overview_text(long_names(), 240.0)
    assert f"  {LONG}  shop-{LONG}-1  running, healthy  aaaaaaaaaaaa\n" in text
    assert f"  {'edge':<28}  {'shop-deployer-edge-1':<35}  running, healthy\n" in text


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("drifted", [False, True])
def test_w7_the_status_fits_the_terminal(width: int, drifted: bool) -> None:
    lines = overview_text(long_names(drifted=drifted), 240.0, width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(f"shop-{LONG}-1" in line for line in lines) and "running, healthy" in "\n".join(lines)


def test_w7_a_narrow_terminal_has_the_state_below_the_name() -> None:
    assert overview_text(long_names(), 240.0, 40) == (
        "shop/production\n"
        "  https://shop.example.com\n"
        "  serves  aaaaaaa (release r1), deployed\n"
        "          2 min ago\n"
        "  shop-deployer-edge-1\n"
        "    running, healthy\n"
        f"  shop-{LONG}-1\n"
        "    running, healthy\n"
        "  shop-frontend-1\n"
        "    running, healthy\n"
        "  drift   none"
    )


def test_w7_a_project_without_containers_has_no_rows() -> None:
    lines = overview_text(overview(ObservedState(())), 240.0, 40).splitlines()
    assert lines[:4] == ["shop/production", "  https://shop.example.com", *lines[2:4]]
    assert "  drift   the project is not as" in lines
