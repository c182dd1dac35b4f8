"""Host ports in plans: who retires for whom."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.host_ports import HostPort, host_ports_of
from deployer.core.model import ObservedState, Replica
from deployer.core.rollout.desired_state import EDGE, DesiredState
from deployer.core.rollout.plan import Plan, Step, Verb, goes_in_circles
from deployer.core.rollout.planner import plan_rollout
from testing.compose_models import application, replica, shop

TCP = {"target": 3001, "protocol": "tcp"}


def two(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both hold their ports themselves, as services with a container name do."""
    model = shop()
    for name, port in (("backend", first), ("frontend", second)):
        model["services"][name] |= {"container_name": f"x-{name}", "ports": [{"target": 3001, **port}]}
        model["services"][name].pop("depends_on", None)
    return model


def up(app: DesiredState, name: str) -> Replica:
    """With the host ports that its service has in the file; a range gives its first one."""
    wanted = host_ports_of(app.document["services"][name])
    return replica(app, name, ports=tuple(HostPort(p.address, p.first, p.first, p.protocol) for p in wanted))


def plan_after(before: dict[str, Any], after: dict[str, Any], marks: str = "ac") -> Plan:
    old, new = application("ab", before), application(marks, after)
    return plan_rollout(new, ObservedState((up(old, "backend"), up(old, "frontend"))))


def retired(plan: Plan) -> list[tuple[str, str]]:
    return [(step.service, step.cause) for step in plan.of(Verb.RETIRE)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"published": "8080", "host_ip": "127.0.0.1"}, {"published": "8080", "host_ip": "127.0.0.2"}),
        ({"published": "8080", "host_ip": "127.0.0.1"}, {"published": "8080", "host_ip": "::1"}),
        ({"published": "53"}, {"published": "53", "protocol": "udp"}),
        ({"published": "9000-9001"}, {"published": "9000-9001"}),
        ({}, {}),
    ],
)
@pytest.mark.case("H01")
def test_a_service_that_stays_is_not_touched(first: dict[str, Any], second: dict[str, Any]) -> None:
    model = two(first, second)
    plan = plan_after(model, model)
    assert not retired(plan)
    assert {step.service for step in plan.steps} == {"frontend"}


@pytest.mark.case("H01")
def test_not_even_where_the_file_wants_one_port_twice() -> None:
    model = two({"published": "80"}, {"published": "80"})
    assert not retired(plan_after(model, model))


@pytest.mark.case("H01")
def test_a_port_moves_between_services() -> None:
    plan = plan_after(
        two({"published": "80"}, {"published": "81"}), two({"published": "82"}, {"published": "80"})
    )
    assert retired(plan) == [("backend", "its host port moves to frontend")]


@pytest.mark.case("H01")
def test_two_services_swap_their_ports_and_each_old_one_goes_once() -> None:
    plan = plan_after(
        two({"published": "80"}, {"published": "81"}), two({"published": "81"}, {"published": "80"})
    )
    assert {service for service, _ in retired(plan)} == {"backend", "frontend"}
    gone = [
        one.id for step in plan.steps for one in step.replicas if step.verb in ("retire", "rest", "remove")
    ]
    assert sorted(gone) == ["backend-1", "frontend-1"]


@pytest.mark.case("H01")
def test_a_range_without_room_takes_the_port_of_one_that_leaves() -> None:
    before = two({"published": "9000"}, {"published": "9001"})
    after = two({"published": "7000"}, {"published": "9000-9001"})
    assert retired(plan_after(before, after)) == [("backend", "its host port moves to frontend")]
    roomy = two({"published": "7000"}, {"published": "9000-9003"})
    assert not retired(plan_after(before, roomy))


@pytest.mark.case("H01")
def test_the_edge_and_a_service_share_a_number_by_address() -> None:
    """Both want container port 3001, so the second one holds its host port itself."""
    model = shop()
    model["services"]["backend"]["ports"] = [{**TCP, "published": "80", "host_ip": "127.0.0.1"}]
    model["services"]["frontend"]["ports"] = [{**TCP, "published": "80", "host_ip": "127.0.0.2"}]
    old, new = application("ab", model), application("ac", model)
    edge = replica(old, EDGE, ports=(HostPort("127.0.0.1", 80, 80),))
    plan = plan_rollout(new, ObservedState((edge, replica(old, "backend"), up(old, "frontend"))))
    assert {step.service for step in plan.steps} == {"frontend"}


def doing(*actions: tuple[Verb, str]) -> Plan:
    return Plan("shop", tuple(Step(verb, service, 0, "") for verb, service in actions))


@pytest.mark.case("H01")
def test_plans_that_undo_each_other_go_in_circles() -> None:
    one = doing((Verb.RETIRE, "a"), (Verb.CREATE, "b"), (Verb.START, "b"))
    other = doing((Verb.RETIRE, "b"), (Verb.CREATE, "a"))
    assert one.forsaken == {"a"} and other.forsaken == {"b"}
    assert goes_in_circles([one, other, one]) and goes_in_circles([other, one, other, one])
    assert not goes_in_circles([one, other]) and not goes_in_circles([one, one, one])
    assert not goes_in_circles([one, other, doing((Verb.GATE, "a"), (Verb.SWITCH, "a"))])
