from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.peers import Reach, ports_asked, reach_of

NET = {"networks": {"default": None}}


def reach(peer: dict[str, Any], own: dict[str, Any] | None = None, *texts: str) -> Reach:
    return reach_of("api", {"api": {**NET, **(own or {})}, "web": {**NET, **peer}}, texts)


@pytest.mark.case("H08")
@pytest.mark.parametrize(
    ("peer", "named", "ports"),
    [
        ({}, False, set()),
        ({"environment": {"API_URL": "http://api:8000/v1"}}, True, {8000}),
        ({"environment": {"API_URL": "https://u:p@api/v1"}}, True, {443}),
        ({"environment": {"DSN": "amqp://u:p@api:5672/vhost"}}, True, {5672}),
        ({"environment": {"SERVERS": "other:1,api:9000"}}, True, {9000}),
        ({"environment": {"API_HOST": "api", "API_PORT": 8000}}, True, {8000}),
        ({"environment": {"API_HOST": "api", "API_PORT": "many"}}, True, set()),
        ({"environment": {"ROLE": "api", "EMPTY": None}}, False, set()),
        (
            {"environment": {"IMAGE": "ghcr.io/acme/api:8000", "X": "my-api:1 api:99999 api:8000-1"}},
            False,
            set(),
        ),
        ({"environment": {"X": "//api /api (api)"}}, False, set()),
        ({"command": ["wait-for", "api:8000", "--", "nginx"]}, True, {8000}),
        ({"entrypoint": "proxy --to http://api"}, True, {80}),
        ({"healthcheck": {"test": ["CMD", "curl", "http://api:8000"]}}, True, {8000}),
        ({"depends_on": {"api": {"condition": "service_started"}}}, True, set()),
        ({"links": ["api:backend"], "environment": {"URL": "http://backend:81"}}, True, {81}),
        ({"networks": {"other": None}, "environment": {"API_URL": "http://api:8000"}}, False, set()),
        ({"network_mode": "host", "environment": {"API_URL": "http://api:8000"}}, True, {8000}),
    ],
)
def test_peers_name_a_service_and_its_port_in_the_usual_ways(
    peer: dict[str, Any], named: bool, ports: set[int]
) -> None:
    assert reach(peer) == Reach(named, frozenset(ports))


@pytest.mark.case("H08")
@pytest.mark.parametrize(
    ("text", "named", "ports"),
    [
        ("location / { proxy_pass http://api:8000; }", True, {8000}),
        ("upstream a { server api; }", True, set()),
        ("fastcgi_pass fpm:9000;", True, {9000}),
        ("reverse_proxy api.internal:8000", True, {8000}),
        ("the api serves :8000", False, set()),
    ],
)
def test_files_of_the_release_name_it_by_any_of_its_names(text: str, named: bool, ports: set[int]) -> None:
    own = {"hostname": "fpm", "networks": {"default": {"aliases": ["api.internal"]}}}
    assert reach({}, own, text) == Reach(named, frozenset(ports))


@pytest.mark.case("H08")
@pytest.mark.parametrize(
    ("test", "ports"),
    [
        (["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/x')"], {8000}),
        ("python -c \"import socket; socket.create_connection(('localhost', 8000))\"", {8000}),
        (["CMD-SHELL", "nc -z localhost 5432 || exit 1"], {5432}),
        ("pg_isready -U app", {5432}),
        ("pg_isready -p 6000 -U app", {6000}),
        ("redis-cli --port=7000 ping", {7000}),
        ("curl -f http://localhost:$$PORT/ | grep ok", {9100}),
        ("curl -f http://localhost:${PORT:-8000}/ | grep ok", {9100}),
        ("curl -f http://localhost:$NOBODY/", set()),
        ("test -f /tmp/ready", set()),
        (["NONE"], set()),
        ("nc -z localhost 99999", set()),
    ],
)
def test_a_check_shows_the_port_that_it_asks(test: Any, ports: set[int]) -> None:
    service = {"healthcheck": {"test": test}, "environment": {"PORT": 9100}}
    assert ports_asked(service) == frozenset(ports)
