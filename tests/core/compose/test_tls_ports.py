from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.routes import Route
from deployer.core.compose.tls_ports import TlsPort, tls_ports
from deployer.core.docker.container_requests import CreateRequest, edge_body
from deployer.core.rollout.desired_state import EDGE, assemble
from testing.compose_models import EDGE_SETTINGS, image, shop

SAFE = type(EDGE_SETTINGS)(EDGE_SETTINGS.image, EDGE_SETTINGS.folder, EDGE_SETTINGS.user, tls=True)


def port(published: str, target: int, **more: str) -> dict[str, Any]:
    return {"mode": "ingress", "target": target, "published": published, "protocol": "tcp"} | more


@pytest.mark.parametrize(
    ("given", "inside"),
    [
        (port("443", 80), 443),
        (port("8443", 80, app_protocol="https"), 8443),
        (port("80", 80, app_protocol="https"), 81),  # the edge listens on 80 for everybody already
        (port("8443", 80), None),
        (port("443", 443), None),  # it speaks TLS itself
        (port("8443", 8443, app_protocol="https"), None),
        (port("443", 80, protocol="udp"), None),
        (port("443-444", 80, app_protocol="https"), None),
        (port("", 80, app_protocol="https"), None),
    ],
)
def test_tls_ends_where_it_is_asked_for_and_http_is_behind(given: dict[str, Any], inside: int | None) -> None:
    found = tls_ports({"web": {"ports": [port("80", 80), given]}}, frozenset({80}))
    assert [one.inside for one in found] == ([inside] if inside else [])


def test_a_port_of_the_edge_is_given_once() -> None:
    tables = {
        "api": {"ports": [port("443", 8080, host_ip="10.0.0.2")]},
        "web": {"ports": [port("443", 80, host_ip="10.0.0.1")]},
    }
    assert tls_ports(tables, frozenset({80, 8080})) == (
        TlsPort("api", 443, 8080, 443),
        TlsPort("web", 443, 80, 444),
    )


def secured() -> dict[str, Any]:
    model = shop()
    model["services"]["frontend"]["ports"].append(port("443", 80, app_protocol="https"))
    return model


def test_with_certificates_the_edge_has_a_port_for_tls_and_the_watch_knocks_there_with_tls() -> None:
    images = {"backend": image("backend", "a"), "frontend": image("frontend", "b")}
    app = assemble(secured(), images, "shop", SAFE)
    assert Route("frontend", 80, True, 2, (443,)) in app.routes
    assert [(endpoint.port, endpoint.http, endpoint.tls) for endpoint in app.endpoints] == [
        (3001, True, False),
        (8080, True, False),
        (443, True, True),
    ]
    body = edge_body(app, [recorded("backend", {"3001/tcp": ["3001"]}), recorded("frontend", FRONT)])
    ports = {
        inside: [one["HostPort"] for one in bound]
        for inside, bound in body["HostConfig"]["PortBindings"].items()
    }
    assert ports == {"3001/tcp": ["3001"], "80/tcp": ["8080"], "443/tcp": ["443"]}
    plain = assemble(secured(), images, "shop", EDGE_SETTINGS)
    assert plain.tls == () and not any(endpoint.tls for endpoint in plain.endpoints)
    before, after = plain.service(EDGE), app.service(EDGE)
    assert before and after and before.spec != after.spec


FRONT = {"80/tcp": ["8080", "443"]}


def recorded(service: str, ports: dict[str, list[str]]) -> CreateRequest:
    bindings = {inside: [{"HostIp": "", "HostPort": one} for one in bound] for inside, bound in ports.items()}
    networks = {"shop_default": {"Aliases": [service]}}
    return CreateRequest(
        service,
        service,
        {
            "Labels": {"com.docker.compose.service": service},
            "HostConfig": {"PortBindings": bindings},
            "NetworkingConfig": {"EndpointsConfig": networks},
        },
    )
