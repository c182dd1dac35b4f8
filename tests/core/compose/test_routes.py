from __future__ import annotations

from typing import Any

import pytest

from deployer.core.image_config import ImageConfig
from deployer.core.model import ContainerState, Health, ObservedState
from deployer.core.rollout.desired_state import EDGE, DesiredState, assemble
from deployer.core.rollout.planner import plan_rollout
from deployer.core.rollout.readiness import Readiness, Reading, judge_gate
from testing.compose_models import EDGE_SETTINGS, image, replica

PYTHON = {"test": ["CMD", "python", "-c", "urlopen('http://127.0.0.1:8000/')"]}
WEB = {"ports": [{"target": 80, "published": "8080", "protocol": "tcp"}]}


def app_of(services: dict[str, dict[str, Any]], text: str = "", **exposed: str) -> DesiredState:
    tables = {name: {"networks": {"default": None}, **table} for name, table in services.items()}
    configs = {name: ImageConfig(ports=tuple(ports.split())) for name, ports in exposed.items()}
    images = {name: image(name, "a") for name in tables}
    return assemble({"services": tables}, images, "shop", EDGE_SETTINGS, configs, [text])


def ports(app: DesiredState, name: str) -> list[int]:
    service = app.service(name)
    assert service
    return [route.port for route in service.routes]


def order(app: DesiredState, name: str) -> tuple[bool, str]:
    service = app.service(name)
    assert service
    return service.start_first, service.order.cause


NGINX = "location / { proxy_pass http://api:8000; }"


@pytest.mark.case("H08")
@pytest.mark.parametrize(
    ("api", "text", "exposed", "expected"),
    [
        ({"healthcheck": PYTHON}, "", {}, [8000]),
        ({}, NGINX, {}, [8000]),
        ({}, "", {"api": "8000/tcp 53/udp"}, [8000]),
        ({}, NGINX, {"api": "8000/tcp 9090/tcp"}, [8000, 9090]),
        ({"expose": ["8000"]}, "", {"api": "9090"}, [8000, 9090]),
        ({"healthcheck": PYTHON}, NGINX.replace("8000", "8001"), {}, [8000, 8001]),
        ({"command": "celery worker"}, "", {"api": "8000"}, []),
        ({"command": "celery worker"}, NGINX, {"api": "9090"}, [8000, 9090]),
    ],
)
def test_a_service_stands_behind_the_edge_with_the_ports_that_it_is_seen_to_have(
    api: dict[str, Any], text: str, exposed: dict[str, str], expected: list[int]
) -> None:
    app = app_of({"api": api, "web": WEB}, text, **exposed)
    assert ports(app, "api") == expected and order(app, "api")[0]
    routed = app.service("api")
    assert routed and bool(routed.aliases) == bool(expected)


@pytest.mark.case("H08")
def test_a_service_that_peers_reach_on_unknown_ports_never_has_two_addresses() -> None:
    depends = {"depends_on": {"api": {"condition": "service_started"}}}
    app = app_of({"api": {}, "web": WEB | depends})
    assert order(app, "api") == (
        False,
        "peers reach it, and no port of it is known: `expose` would name one",
    )
    asked = app_of({"api": {"x-deployer": {"order": "start-first"}}, "web": WEB | depends})
    assert order(asked, "api") == (True, "x-deployer says so") and ports(asked, "api") == []
    updates = {"deploy": {"update_config": {"order": "start-first"}}}
    assert order(app_of({"api": updates, "web": WEB | depends}), "api")[0]
    assert order(app_of({"worker": {}, "web": WEB}), "worker") == (True, "two may run at once")


@pytest.mark.case("H08")
def test_a_port_that_only_an_image_names_gives_way() -> None:
    """Two Node services whose images both say EXPOSE 3000, PHP behind nginx whose images both say 80."""
    published = {"ports": [{"target": 3000, "published": "80", "protocol": "tcp"}]}
    alone = app_of({"one": published, "two": {}}, one="3000", two="3000")
    assert ports(alone, "one") == [3000] and ports(alone, "two") == [] and order(alone, "two")[0]
    reached = app_of({"one": published, "two": {}}, "http://two:3000", one="3000", two="3000")
    assert order(reached, "two") == (False, "one has port 3000 on the edge")
    php = app_of({"nginx": WEB, "php": {}}, "fastcgi_pass php:9000;", nginx="80", php="80 9000")
    assert ports(php, "php") == [9000] and order(php, "php")[0]
    free = app_of({"a": {"expose": ["8000"]}, "b": {}}, "", a="8000 9000", b="9000")
    assert ports(free, "a") == [8000, 9000] and ports(free, "b") == [] and order(free, "b")[0]
    by_word = {"x-deployer": {"order": "start-first"}}
    named = app_of({"one": published, "two": by_word}, "http://two:3000", one="3000", two="3000 4000")
    assert order(named, "two")[0] and ports(named, "two") == []


@pytest.mark.case("H08")
def test_a_databases_image_stays_stop_first_and_without_a_route() -> None:
    database = {"image": "postgres:16", "healthcheck": {"test": "pg_isready"}}
    app = app_of({"db": database, "web": WEB}, "postgres://db:5432/x", db="5432/tcp")
    assert order(app, "db") == (False, "postgres keeps data") and ports(app, "db") == []


@pytest.mark.case("H08")
def test_the_gate_asks_the_ports_that_are_derived_and_presumes_no_more_than_is_known() -> None:
    reached, alone = app_of({"api": {}}, NGINX, api="9090"), app_of({"api": {}}, api="9090")
    declared = app_of({"api": {"expose": ["8000", "9000"]}})
    checked = app_of({"api": {"healthcheck": PYTHON}})
    asked = [one.service("api") for one in (reached, alone, declared, checked)]
    assert [(one.asks, one.presumed) for one in asked if one] == [
        ((8000,), False),
        ((9090,), True),
        ((8000,), False),
        ((), False),
    ]
    service, closed = alone.service("api"), Reading(ContainerState.RUNNING, Health.NONE)
    assert service and judge_gate(service, (closed, closed), 9.0).verdict is Readiness.WAITING
    judged = judge_gate(service, (closed, closed), 10.0)
    assert judged.verdict is Readiness.READY and judged.reason.endswith("nobody is seen to use them")


def test_edge_e4_an_edge_without_a_host_name_stays_until_something_changes() -> None:
    services: dict[str, dict[str, Any]] = {"web": WEB | {"hostname": "www"}}
    app, before = app_of(services), app_of({"web": WEB}).service(EDGE)
    edge = app.service(EDGE)
    assert edge and before and edge.earlier == {before.spec}
    observed = ObservedState((replica(app, EDGE, spec=before.spec), replica(app, "web")))
    assert plan_rollout(app, observed).empty


@pytest.mark.case("H08")
def test_an_upgrade_alone_makes_no_edge_anew() -> None:
    """The deployer before knew no derived ports: its edge stays until something changes."""
    services: dict[str, dict[str, Any]] = {"api": {"healthcheck": PYTHON}, "web": WEB}
    app = app_of(services)
    edge = app.service(EDGE)
    assert edge and edge.earlier and edge.spec not in edge.earlier
    others = [replica(app, name) for name in services]
    before = ObservedState((replica(app, EDGE, spec=min(edge.earlier)), *others))
    assert plan_rollout(app, before).empty
    assert not plan_rollout(app, ObservedState((replica(app, EDGE, spec="another"), *others))).empty
    changed = ObservedState((before.replicas[0], others[0], replica(app, "web", spec="old")))
    steps = [(step.verb, step.service) for step in plan_rollout(app, changed).steps]
    assert ("create", EDGE) in steps
    only = app_of({"api": {"healthcheck": PYTHON}})
    assert plan_rollout(only, ObservedState((replica(only, "api"),))).empty
    unserved = ObservedState((replica(only, "api", serving=False),))
    assert not plan_rollout(only, unserved).empty
