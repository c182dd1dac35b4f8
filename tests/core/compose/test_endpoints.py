"""Published ports as users reach them, and what a deploy may cost."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.endpoints import Budget, Endpoint, budget_of, endpoints_of
from deployer.core.errors import ComposeRejected
from testing.compose_models import CHECK, shop

NOTHING = Budget()


def port(target: int, published: str, **more: Any) -> dict[str, Any]:
    return {"mode": "ingress", "target": target, "published": published, "protocol": "tcp", **more}


def test_each_published_port_is_a_door_and_the_health_check_says_what_to_ask_for() -> None:
    assert endpoints_of(shop()["services"]) == (
        Endpoint("backend", "127.0.0.1", 3001, True, "/health", NOTHING, authority="127.0.0.1:3001"),
        Endpoint("frontend", "127.0.0.1", 8080, True, "/", NOTHING),
    )


def test_bytes_are_only_knocked_at_and_an_address_is_kept() -> None:
    tables = {"db": {"ports": [port(5432, "15432", host_ip="10.0.0.5")]}}
    assert endpoints_of(tables) == (Endpoint("db", "10.0.0.5", 15432, False, "/", NOTHING),)


@pytest.mark.parametrize(
    "ports",
    [
        [],
        None,
        [{"target": 80}],
        [port(80, "8080-8081")],
        [port(53, "53", protocol="udp")],
    ],
)
def test_what_is_no_single_tcp_port_is_no_door(ports: Any) -> None:
    assert endpoints_of({"web": {"ports": ports}}) == ()


def test_the_check_of_another_port_says_nothing_of_this_one() -> None:
    assert endpoints_of({"web": {"ports": [port(80, "8080")], "healthcheck": CHECK}})[0].path == "/"


def test_a_budget_is_requests_and_time() -> None:
    table = {"x-deployer": {"max-failed": 0, "max-gap": "1.5s"}}
    assert budget_of(table) == Budget(0, 1500.0)
    assert budget_of(table).given and Budget(max_gap_ms=1.0).given and not budget_of({}).given


@pytest.mark.parametrize("value", [-1, 1.5, "0", True])
def test_a_budget_of_anything_but_a_number_of_requests_is_refused(value: object) -> None:
    with pytest.raises(ComposeRejected, match="max-failed"):
        budget_of({"x-deployer": {"max-failed": value}})
