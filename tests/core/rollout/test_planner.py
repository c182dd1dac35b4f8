"""Plans are asserted as the text that people read."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.project_names import refuse_foreign
from deployer.core.errors import ComposeRejected
from deployer.core.host_ports import HostPort
from deployer.core.model import ContainerState, Health, ObservedState
from deployer.core.rollout.desired_state import assemble, nothing
from deployer.core.rollout.plan import Plan, Verb
from deployer.core.rollout.planner import is_reconciled, lacking, plan_rollout, plan_routes
from testing.compose_models import EDGE_SETTINGS, application, image, replica, running, shop

EMPTY = ObservedState(())


def _port(number: int) -> HostPort:
    return HostPort("", number, number)


def steps(plan: Plan) -> list[str]:
    return [f"{step.verb} {step.service}" for step in plan.steps]


def test_first_deploy_starts_the_edge_then_each_level() -> None:
    assert str(plan_rollout(application(), EMPTY)) == (
        "shop: 11 steps\n"
        "  1 create  deployer-edge  1 new  no replica yet\n"
        "  2 start   deployer-edge  1 new  no replica yet\n"
        "  3 gate    deployer-edge  1 new  must be ready within 20 s\n"
        "  4 create  backend        1 new  no replica yet\n"
        "  5 start   backend        1 new  no replica yet\n"
        "  6 gate    backend        1 new  must be ready within 32 s\n"
        "  7 create  frontend       1 new  no replica yet\n"
        "  8 start   frontend       1 new  no replica yet\n"
        "  9 gate    frontend       1 new  must be ready within 60 s\n"
        " 10 switch  backend               edge → 1 replica\n"
        " 11 switch  frontend              edge → 1 replica"
    )


def test_the_same_release_again_touches_nothing() -> None:
    plan = plan_rollout(application(), running(application()))
    assert plan.empty
    assert str(plan) == "shop: nothing to do, this release is what runs"


def test_only_the_changed_service_is_replaced_new_before_old() -> None:
    assert str(plan_rollout(application("cb"), running(application("ab")))) == (
        "shop: 7 steps\n"
        "  1 create  backend  1 new           image aaaaaaaaaaaa → cccccccccccc\n"
        "  2 start   backend  1 new           image aaaaaaaaaaaa → cccccccccccc\n"
        "  3 gate    backend  1 new           must be ready within 32 s\n"
        "  4 switch  backend                  edge → 1 replica\n"
        "  5 drain   backend  shop-backend-1  requests may end, at most 30 s\n"
        "  6 stop    backend  shop-backend-1  superseded\n"
        "  7 remove  backend  shop-backend-1  superseded"
    )


def test_all_levels_are_gated_before_anything_drains() -> None:
    verbs = [step.verb for step in plan_rollout(application("cd"), running(application("ab"))).steps]
    assert (
        max(i for i, verb in enumerate(verbs) if verb is Verb.GATE)
        < verbs.index(Verb.SWITCH)
        < verbs.index(Verb.DRAIN)
    )


def test_a_changed_variable_is_a_changed_configuration() -> None:
    model = shop()
    model["services"]["backend"]["environment"] = {"LEVEL": "debug"}
    plan = plan_rollout(application(model=model), running(application()))
    assert [step.cause for step in plan.of(Verb.CREATE)] == ["configuration changed"]


def test_a_stop_first_service_rests_before_the_new_one_starts_and_goes_when_that_is_ready() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"order": "stop-first"}
    old, new = application("ab", model), application("cb", model)
    observed = ObservedState(
        (replica(old, "deployer-edge"), replica(old, "backend"), replica(old, "frontend"))
    )
    plan = plan_rollout(new, observed)
    assert steps(plan) == [
        "preflight backend",
        "create backend",
        "rest backend",
        "start backend",
        "gate backend",
        "remove backend",
    ]
    assert plan.steps[2].cause == "stop-first: x-deployer says so; away until the new one is ready"


def test_going_back_starts_the_replica_that_rests_again() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"order": "stop-first"}
    old, new = application("ab", model), application("cb", model)
    stopped_for_rollback = replica(old, "backend", state=ContainerState.EXITED, serving=False)
    broken = replica(new, "backend", 2, state=ContainerState.EXITED, serving=False, exit_code=1)
    others = (replica(old, "deployer-edge"), replica(old, "frontend"))
    plan = plan_rollout(old, ObservedState((*others, stopped_for_rollback, broken)))
    assert steps(plan) == ["remove backend", "start backend", "gate backend"]
    assert [step.subject for step in plan.steps] == ["shop-backend-2", "shop-backend-1", "1 new"]


def test_a_replica_that_never_served_must_pass_the_gate_and_is_not_created_again() -> None:
    app = application("cb")
    old = application("ab")
    left = replica(app, "backend", 2, serving=False, health=Health.STARTING)
    observed = ObservedState(
        (replica(old, "deployer-edge"), replica(old, "backend"), left, replica(old, "frontend"))
    )
    assert steps(plan_rollout(app, observed)) == [
        "gate backend",
        "switch backend",
        "drain backend",
        "stop backend",
        "remove backend",
    ]


def test_going_back_removes_what_never_served_and_leaves_what_serves() -> None:
    old, new = application("ab"), application("cb")
    broken = replica(new, "backend", 2, serving=False, state=ContainerState.EXITED, exit_code=1)
    observed = ObservedState((*running(old).replicas, broken))
    plan = plan_rollout(old, observed)
    assert steps(plan) == ["remove backend"]
    assert plan.steps[0].subject == "shop-backend-2"


def test_going_back_takes_an_unproven_running_replica_away_without_draining_it() -> None:
    old, new = application("ab"), application("cb")
    slow = replica(new, "backend", 2, serving=False, health=Health.STARTING)
    plan = plan_rollout(old, ObservedState((*running(old).replicas, slow)))
    assert steps(plan) == ["switch backend", "remove backend"]
    assert plan.steps[-1].cause == "never served"


def test_going_back_to_nothing_removes_everything() -> None:
    plan = plan_rollout(nothing("shop"), running(application()))
    assert steps(plan) == [
        "stop backend",
        "remove backend",
        "stop deployer-edge",
        "remove deployer-edge",
        "stop frontend",
        "remove frontend",
    ]


def test_a_service_that_left_the_file_goes_last_and_a_dead_one_is_only_removed() -> None:
    model = shop()
    model["services"]["cron"] = {"image": "ghcr.io/acme/shop-cron", "networks": {"default": None}}
    model["services"]["cron"]["build"] = {"context": "/src/cron"}
    images = {name: image(name, "a") for name in ("backend", "frontend", "cron")}
    with_cron = assemble(model, images, "shop", EDGE_SETTINGS)
    live = running(application()).replicas
    assert steps(plan_rollout(application(), ObservedState((*live, replica(with_cron, "cron"))))) == [
        "stop cron",
        "remove cron",
    ]
    dead = replica(with_cron, "cron", state=ContainerState.EXITED, serving=False)
    assert steps(plan_rollout(application(), ObservedState((*live, dead)))) == ["remove cron"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"state": ContainerState.EXITED, "serving": False}, "replica is exited"),
        ({"health": Health.UNHEALTHY}, "replica is unhealthy"),
        ({"restarts": 3}, "replica is unhealthy"),
        ({"state": ContainerState.RESTARTING, "serving": False}, "replica is restarting"),
        ({"digest": "", "spec": "other"}, "image by tag → aaaaaaaaaaaa"),
    ],
)
def test_what_is_broken_is_replaced(changes: dict[str, Any], cause: str) -> None:
    app = application("ab")
    others = [r for r in running(app).replicas if r.service != "backend"]
    plan = plan_rollout(app, ObservedState((*others, replica(app, "backend", **changes))))
    assert [step.cause for step in plan.of(Verb.CREATE)] == [cause]


def test_missing_replicas_are_added_and_surplus_ones_drained() -> None:
    model = shop()
    model["services"]["backend"]["deploy"] = {"replicas": 3}
    three, one = application(model=model), application()
    plan = plan_rollout(three, running(three))
    assert [(step.cause, step.count) for step in plan.of(Verb.CREATE)] == [("too few replicas", 2)]
    assert "edge → 3 replicas" in str(plan)
    crowd = ObservedState((*running(one).replicas, *(replica(one, "backend", n) for n in (2, 3))))
    assert [step.subject for step in plan_rollout(one, crowd).of(Verb.DRAIN)] == [
        "shop-backend-2 shop-backend-3"
    ]


def test_a_finished_task_is_not_run_again_for_the_same_release() -> None:
    model = shop()
    model["services"]["frontend"]["depends_on"] = {"backend": {"condition": "service_completed_successfully"}}
    app = application(model=model)
    done = replica(app, "backend", state=ContainerState.EXITED, serving=False)
    others = [r for r in running(app).replicas if r.service != "backend"]
    assert plan_rollout(app, ObservedState((*others, done))).empty
    failed = replica(app, "backend", state=ContainerState.EXITED, exit_code=1, serving=False)
    assert "create backend" in steps(plan_rollout(app, ObservedState((*others, failed))))


def test_the_same_inputs_give_the_same_text() -> None:
    first, second = (str(plan_rollout(application("cd"), running(application("ab")))) for _ in range(2))
    assert first == second


def test_containers_started_by_hand_are_refused_and_named() -> None:
    foreign = replica(application(), "backend", spec="")
    with pytest.raises(ComposeRejected, match="shop-backend-1, which this deployer did not start") as error:
        refuse_foreign("shop", ObservedState((foreign,)))
    assert "docker compose -p shop down" in error.value.hint
    refuse_foreign("shop", running(application()))


def test_levels_are_those_that_have_something_to_do() -> None:
    assert plan_rollout(application("ac"), running(application("ab"))).levels == (2,)
    assert plan_rollout(application(), EMPTY).levels == (0, 1, 2)


def test_replicas_that_came_back_elsewhere_are_to_be_served() -> None:
    app = application()
    moved = replica(app, "backend", serving=False, restarts=1)
    stopped = replica(app, "frontend", state=ContainerState.EXITED, serving=False)
    observed = ObservedState((replica(app, "deployer-edge"), moved, stopped))
    backend = app.service("backend")
    assert backend and plan_routes(app, observed) == {backend: [moved]}
    assert plan_routes(app, running(app)) == {}
    sick = ObservedState((replica(app, "backend", serving=False, health=Health.UNHEALTHY),))
    assert plan_routes(app, sick) == {}


def stop_first_shop() -> dict[str, Any]:
    model = shop()
    for service in model["services"].values():
        service["x-deployer"] = {"order": "stop-first"}
    return model


def test_an_edge_that_takes_over_ports_starts_when_all_else_is_ready() -> None:
    old, new = application(model=stop_first_shop()), application()
    observed = ObservedState(
        (replica(old, "backend", ports=(_port(3001),)), replica(old, "frontend", ports=(_port(8080),)))
    )
    plan = plan_rollout(new, observed)
    assert steps(plan) == [
        "create backend",
        "start backend",
        "gate backend",
        "create frontend",
        "start frontend",
        "gate frontend",
        "retire backend",
        "retire frontend",
        "create deployer-edge",
        "start deployer-edge",
        "gate deployer-edge",
        "switch backend",
        "switch frontend",
    ]
    assert next(plan.of(Verb.RETIRE)).cause == "its host port moves to deployer-edge"
    assert {step.level for step in plan.of(Verb.SWITCH)} == {3}


def test_an_edge_that_leaves_gives_its_ports_back_before_they_are_needed() -> None:
    old, new = application(), application(model=stop_first_shop())
    edge = replica(old, "deployer-edge", ports=(_port(3001), _port(8080)))
    observed = ObservedState((edge, replica(old, "backend"), replica(old, "frontend")))
    plan = plan_rollout(new, observed)
    assert steps(plan)[:5] == [
        "preflight backend",
        "preflight frontend",
        "retire deployer-edge",
        "create backend",
        "rest backend",
    ]
    assert [step.subject for step in plan.of(Verb.REMOVE)] == ["shop-backend-1", "shop-frontend-1"]
    assert edge.id in plan.leaving


def test_a_task_of_the_release_before_stays_until_the_new_release_serves_and_never_runs_on_the_way_back() -> (
    None
):
    model = shop()
    model["services"]["frontend"]["depends_on"] = {"backend": {"condition": "service_completed_successfully"}}
    old, new = application("ab", model), application("cb", model)
    done = replica(old, "backend", state=ContainerState.EXITED, serving=False)
    others = [r for r in running(old).replicas if r.service != "backend"]
    plan = plan_rollout(new, ObservedState((*others, done)))
    assert steps(plan) == ["create backend", "start backend", "gate backend", "remove backend"]
    failed = replica(new, "backend", 2, state=ContainerState.EXITED, exit_code=1, serving=False)
    assert steps(plan_rollout(old, ObservedState((*others, done, failed)), tasks=False)) == ["remove backend"]
    idle = plan_rollout(old, ObservedState(tuple(others)), tasks=False)
    assert idle.empty and idle.idle == ("backend",)
    assert "\n    backend does not run: the release comes back" in str(idle)


def test_an_application_is_settled_when_all_of_it_runs_and_nothing_of_others_is_there() -> None:
    app = application()
    whole = running(app)
    assert is_reconciled(app, whole) and lacking(app, whole) == []
    foreign = replica(app, "backend", 2, spec="", state=ContainerState.CREATED)
    assert not is_reconciled(app, ObservedState((*whole.replicas, foreign)))
    less = ObservedState(tuple(one for one in whole.replicas if one.service != "frontend"))
    assert not is_reconciled(app, less) and lacking(app, less) == ["frontend"]


def paced(**table: Any) -> dict[str, Any]:
    model = shop()
    model["services"]["backend"]["deploy"] = {"replicas": 3, "update_config": {"parallelism": 2} | table}
    return model


def test_replicas_are_replaced_as_many_at_a_time_as_the_file_says() -> None:
    old, new = application("ab", paced()), application("cb", paced())
    front = (replica(old, "deployer-edge"), replica(old, "frontend"))
    backends = [replica(old, "backend", number) for number in (1, 2, 3)]
    first = plan_rollout(new, ObservedState((*front, *backends)))
    assert str(first) == (
        "shop: 7 steps\n"
        "  1 create  backend  2 new                          image aaaaaaaaaaaa → cccccccccccc, 2 of 3 now\n"
        "  2 start   backend  2 new                          image aaaaaaaaaaaa → cccccccccccc, 2 of 3 now\n"
        "  3 gate    backend  2 new                          must be ready within 32 s\n"
        "  4 switch  backend                                 edge → 3 replicas\n"
        "  5 drain   backend  shop-backend-2 shop-backend-3  requests may end, at most 30 s\n"
        "  6 stop    backend  shop-backend-2 shop-backend-3  superseded\n"
        "  7 remove  backend  shop-backend-2 shop-backend-3  superseded"
    )
    assert first.later_batches == {"backend-1"}
    made = [replica(new, "backend", number) for number in (4, 5)]
    last = plan_rollout(new, ObservedState((*front, backends[0], *made)))
    assert [step.count for step in last.of(Verb.CREATE)] == [1] and last.later_batches == frozenset()
    assert plan_rollout(new, ObservedState((*front, *backends[:0], *made, replica(new, "backend")))).empty


def test_a_first_deploy_and_a_task_know_no_pace() -> None:
    first = plan_rollout(application(model=paced()), EMPTY)
    assert [step.count for step in first.of(Verb.CREATE)] == [1, 3, 1]
    model = paced()
    model["services"]["frontend"]["depends_on"] = {"backend": {"condition": "service_completed_successfully"}}
    app = application(model=model)
    busy = ObservedState((replica(app, "backend", spec="old"),))
    creating = plan_rollout(app, busy).of(Verb.CREATE)
    assert next(step.count for step in creating if step.service == "backend") == 3


@pytest.mark.parametrize(("word", "name"), [("start-first", "start-first"), ("stop-first", "stop-first")])
def test_composes_own_order_counts(word: str, name: str) -> None:
    service = application(model=paced(order=word)).service("backend")
    assert service and (service.order.name, service.order.cause) == (name, "deploy.update_config says so")


def test_a_sick_replica_is_routed_around_while_another_is_well() -> None:
    app = application(model=paced())
    one, two = replica(app, "backend"), replica(app, "backend", 2, health=Health.UNHEALTHY)
    backend = app.service("backend")
    assert backend and plan_routes(app, ObservedState((one, two))) == {backend: [one]}
    alone = ObservedState((two,))
    assert plan_routes(app, alone) == {}
    well = replica(app, "backend", 2, serving=False)
    assert plan_routes(app, ObservedState((one, well))) == {backend: [one, well]}


def test_what_somebody_started_by_hand_serves_where_nothing_else_runs() -> None:
    app = application()
    hand = replica(app, "backend", 2, spec="", serving=False)
    backend = app.service("backend")
    assert backend and plan_routes(app, ObservedState((hand,))) == {backend: [hand]}
    assert plan_routes(app, ObservedState((replica(app, "backend"), hand))) == {}


def test_a_stop_first_service_that_shrinks_needs_no_copy() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"order": "stop-first"}
    app = application(model=model)
    observed = ObservedState((*running(app).replicas, replica(app, "backend", 2)))
    assert steps(plan_rollout(app, observed)) == ["rest backend", "remove backend"]
