from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.external_proxy import hands_over_ports, order_without_edge, without_edge
from deployer.core.compose.services import START_FIRST, STOP_FIRST
from deployer.core.errors import ComposeRejected
from deployer.core.model import ObservedState
from deployer.core.rollout.desired_state import EDGE, assemble
from deployer.core.rollout.planner import plan_rollout
from testing.compose_models import CHECK, EDGE_SETTINGS, application, image, replica, shop

TRAEFIK = {"traefik.http.routers.web.rule": "Host(`shop.example.com`)"}


@pytest.mark.parametrize(
    ("service", "cause"),
    [
        ({}, ""),
        ({"x-deployer": {"edge": "off"}}, "x-deployer says so"),
        ({"x-deployer": {"edge": False}}, "x-deployer says so"),
        ({"x-deployer": {"edge": True}, "labels": TRAEFIK}, ""),
        ({"x-deployer": {"edge": "on"}, "labels": TRAEFIK}, ""),
        ({"labels": TRAEFIK}, "Traefik finds it by itself"),
        ({"labels": TRAEFIK, "ports": [{"target": 80, "published": "80"}]}, ""),
        ({"labels": TRAEFIK | {"traefik.enable": "false"}}, ""),
        ({"labels": {"caddy": "shop.example.com"}}, "caddy-docker-proxy finds it by itself"),
        ({"labels": {"caddy_1.reverse_proxy": "x"}}, "caddy-docker-proxy finds it by itself"),
        ({"labels": {"caddyshack": "x"}}, ""),
        ({"environment": {"VIRTUAL_HOST": "shop.example.com"}}, "nginx-proxy finds it by itself"),
    ],
)
def test_a_service_that_another_proxy_finds_needs_no_edge(service: dict[str, Any], cause: str) -> None:
    assert without_edge(service) == cause


def test_an_edge_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(ComposeRejected, match=r"x-deployer\.edge is 'maybe'"):
        without_edge({"x-deployer": {"edge": "maybe"}})


@pytest.mark.parametrize(
    ("published", "order"),
    [("8080", STOP_FIRST), ("8080-8081", START_FIRST), ("", START_FIRST)],
)
def test_without_the_edge_a_fixed_host_port_has_one_holder(published: str, order: str) -> None:
    service: dict[str, Any] = {"ports": [{"target": 80, "published": published, "protocol": "tcp"}]}
    found = order_without_edge(service)
    assert found.name == order
    if order == STOP_FIRST:
        assert found.cause == "without the edge it holds host port 8080 itself"
    assert order_without_edge(service | {"container_name": "web"}).cause == "container_name is fixed"


HELD = {
    "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}],
    "x-deployer": {"edge": False, "order": "start-first"},
}


@pytest.mark.parametrize(
    ("more", "over"),
    [
        ({}, True),
        ({"x-deployer": {"edge": False}}, False),
        ({"x-deployer": {"order": "start-first"}}, False),
        ({"ports": [{"target": 80, "published": "8080-8081", "protocol": "tcp"}]}, False),
        ({"ports": [{"target": 80, "protocol": "tcp"}]}, False),
        ({"ports": []}, False),
    ],
)
def test_a_declared_start_first_takes_a_fixed_host_port_over(more: dict[str, Any], over: bool) -> None:
    service: dict[str, Any] = HELD | more
    assert hands_over_ports(service) == over
    assert not over or order_without_edge(service).name == START_FIRST


@pytest.mark.parametrize("more", [{"deploy": {"replicas": 2}}, {"network_mode": "host"}])
def test_a_port_goes_from_one_replica_to_one_other_only(more: dict[str, Any]) -> None:
    with pytest.raises(ComposeRejected, match="host port 8080 can go from one replica to one other only"):
        order_without_edge(HELD | more)


def test_one_that_takes_ports_over_proves_itself_first_and_the_plan_tells_the_gap() -> None:
    model = shop()
    model["services"]["backend"] |= {"x-deployer": HELD["x-deployer"], "healthcheck": CHECK}
    before, after = application("ab", model), application("cb", model)
    backend = after.service("backend")
    assert backend and backend.hands_over_ports and backend.probe and not backend.routes
    assert [str(port) for port in backend.publishes] == ["3001/tcp"] and not backend.notice_seconds
    here = tuple(replica(before, name) for name in (EDGE, "backend", "frontend"))
    steps = [step for step in plan_rollout(after, ObservedState(here)).steps if step.service == "backend"]
    assert [step.verb for step in steps] == ["create", "start", "gate", "switch", "stop", "remove"]
    assert steps[3].cause == "takes over 3001/tcp and the networks; nobody answers for 0.2 to 0.4 s"
    done = (here[0], replica(after, "backend", 2), here[2])
    assert not plan_rollout(after, ObservedState(done)).steps, "served already"
    halfway = (*here[:2], replica(after, "backend", 2, serving=False, parked=True), here[2])
    steps = [step for step in plan_rollout(after, ObservedState(halfway)).steps if step.service == "backend"]
    verbs = [step.verb for step in steps]
    assert verbs == ["gate", "switch", "stop", "remove"], "after a restart"
    gone = replica(before, "backend", serving=False, parked=True)
    for new in (replica(after, "backend", 2, serving=False, parked=True), replica(after, "backend", 2)):
        plan = plan_rollout(after, ObservedState((here[0], gone, new, here[2])))
        verbs = [step.verb for step in plan.steps if step.service == "backend"]
        assert verbs[-2:] == ["stop", "remove"], "who gave its ports away ends in order"
    first = plan_rollout(after, ObservedState((here[0], here[2]))).steps
    assert any(step.cause == "takes over 3001/tcp and the networks" for step in first)


def labelled() -> dict[str, Any]:
    model = shop()
    model["services"]["backend"] |= {"labels": TRAEFIK, "ports": [], "healthcheck": CHECK}
    model["services"]["frontend"] |= {"x-deployer": {"edge": "off", "drain-timeout": "9s"}, "ports": []}
    return model


def test_a_stack_without_the_edge_starts_first_waits_for_the_proxy_and_goes_by_dockers_word() -> None:
    before, after = application("ab", labelled()), application("cd", labelled())
    assert after.routes == () and after.service(EDGE) is None and after.edge is None
    backend = after.service("backend")
    assert backend and backend.probe is None and backend.checked and backend.notice_seconds == 5.0
    running = ObservedState(tuple(replica(before, name) for name in ("backend", "frontend")))
    steps = [(step.verb, step.service, step.cause) for step in plan_rollout(after, running).steps]
    assert ("drain", "backend", "the proxy in front finds the new one, 5 s") in steps
    assert ("drain", "frontend", "the proxy in front finds the new one, 9 s") in steps
    verbs = [verb for verb, service, _ in steps if service == "backend"]
    assert verbs == ["create", "start", "gate", "drain", "stop", "remove"]


def test_replicas_with_a_host_port_of_their_own_keep_it() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"edge": False}
    app = assemble(
        model,
        {"backend": image("backend", "a"), "frontend": image("frontend", "b")},
        "shop",
        EDGE_SETTINGS,
    )
    backend = app.service("backend")
    assert backend and [str(port) for port in backend.publishes] == ["3001/tcp"] and not backend.start_first
