from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose import services
from deployer.core.compose.services import levels_of, listens_on, order_of, ranks_of, seconds, speaks_http
from deployer.core.errors import ComposeRejected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("5s", 5.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        (None, 7.0),
        ("", 7.0),
        (90, 90.0),
    ],
)
def test_durations_are_read_as_compose_writes_them(text: object, expected: float) -> None:
    assert seconds(text, 7.0) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["5", "s", "5 s", "5s!", "1d", True, -1, []])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ComposeRejected, match="not a duration"):
        seconds(text, 1.0)


def test_a_disabled_check_is_no_check() -> None:
    table = {"healthcheck": {"test": ["CMD", "true"], "disable": True}}
    assert not services.is_checked(table)
    assert services.is_checked({"healthcheck": {"test": ["CMD", "true"]}})


@pytest.mark.parametrize(
    ("table", "order", "cause"),
    [
        ({}, "start-first", "two may run at once"),
        ({"x-deployer": {"order": "stop-first"}}, "stop-first", "x-deployer says so"),
        (
            {"x-deployer": {"order": "start-first"}, "container_name": "x"},
            "start-first",
            "x-deployer says so",
        ),
        ({"container_name": "web"}, "stop-first", "container_name is fixed"),
        ({"network_mode": "host"}, "stop-first", "network_mode is host"),
        ({"networks": {"a": None, "b": {"ipv4_address": "10.0.0.9"}}}, "stop-first", "its address is fixed"),
        ({"mac_address": "02:42:ac:11:00:02"}, "stop-first", "its address is fixed"),
        ({"ports": [{"target": 53, "protocol": "udp"}]}, "stop-first", "a published port is not TCP"),
        (
            {"volumes": [{"type": "volume", "source": "d", "target": "/d"}]},
            "stop-first",
            "a volume has one writer",
        ),
        (
            {"volumes": [{"type": "bind", "source": "/d", "target": "/d"}]},
            "stop-first",
            "a volume has one writer",
        ),
        (
            {"volumes": [{"type": "bind", "source": "/d", "read_only": True}]},
            "start-first",
            "two may run at once",
        ),
        ({"volumes": [{"type": "volume", "target": "/tmp"}]}, "start-first", "two may run at once"),
        (
            {"volumes": [{"type": "volume", "target": "/data/"}]},
            "stop-first",
            "the nameless volume /data has one writer",
        ),
        ({"volumes": [{"type": "tmpfs", "target": "/tmp"}]}, "start-first", "two may run at once"),
        ({"volumes_from": ["db", "container:x"]}, "stop-first", "it shares with db"),
        ({"pid": "service:db"}, "stop-first", "it shares with db"),
        ({"image": "docker.io/library/postgres:16"}, "stop-first", "postgres keeps data"),
        ({"image": "ghcr.io/acme/redis-ui"}, "start-first", "two may run at once"),
    ],
)
def test_start_first_wherever_two_may_run(table: dict[str, Any], order: str, cause: str) -> None:
    found = order_of(table)
    assert (found.name, found.cause) == (order, cause)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"order": "sideways"}, "x-deployer.order is 'sideways'"),
        ("no table", "x-deployer should be a mapping"),
        ({"ordr": "stop-first"}, "x-deployer.ordr is not a known setting"),
        ({"protocol": "htpp"}, "x-deployer.protocol is 'htpp'"),
    ],
)
def test_a_wrong_setting_is_refused(settings: object, told: str) -> None:
    with pytest.raises(ComposeRejected, match=told):
        order_of({"x-deployer": settings})


def test_a_service_listens_on_what_it_publishes_exposes_and_is_asked_on() -> None:
    table = {
        "ports": [{"target": 80}],
        "expose": ["3000", "3002/tcp", "53/udp", "4000-4010"],
        "healthcheck": {"test": ["CMD", "curl", "http://localhost:3001/"]},
    }
    assert listens_on(table) == (80, 3000, 3001, 3002)
    assert listens_on({}) == ()


@pytest.mark.parametrize(
    ("table", "port", "http"),
    [
        ({}, 80, True),
        ({}, 5432, False),
        ({"x-deployer": {"protocol": "tcp"}}, 80, False),
        ({"x-deployer": {"protocol": "http"}}, 5432, True),
        ({"ports": [{"target": 9443, "app_protocol": "http"}]}, 9443, True),
        ({"ports": [{"target": 80, "app_protocol": "tcp"}]}, 80, False),
        ({"healthcheck": {"test": "curl http://localhost:7777/"}}, 7777, True),
        ({"healthcheck": {"test": "curl http://localhost:7777/"}}, 7778, False),
    ],
)
def test_http_is_spoken_where_the_file_shows_it(table: dict[str, Any], port: int, http: bool) -> None:
    assert speaks_http(table, port) is http


@pytest.mark.parametrize(
    ("table", "count"),
    [({}, 1), ({"deploy": {"replicas": 3}}, 3), ({"scale": 2}, 2), ({"deploy": {"replicas": 0}}, 0)],
)
def test_replicas(table: dict[str, Any], count: int) -> None:
    assert services.replicas_of(table) == count


@pytest.mark.parametrize(
    ("table", "gate"),
    [
        ({}, 60.0),
        ({"x-deployer": {"gate-timeout": "5s"}}, 5.0),
        (
            {
                "healthcheck": {
                    "test": "x",
                    "interval": "5s",
                    "timeout": "3s",
                    "retries": 3,
                    "start_period": "20s",
                }
            },
            52.0,
        ),
        ({"healthcheck": {"test": "x", "interval": "10m"}}, 2520.0),
    ],
)
def test_the_gate_gives_what_the_check_allows(table: dict[str, Any], gate: float) -> None:
    assert services.gate_seconds_of(table) == gate


def test_levels_follow_what_must_be_ready_and_ranks_what_must_be_started() -> None:
    table: dict[str, dict[str, Any]] = {
        "web": {"depends_on": {"api": {}, "absent": {}}},
        "api": {"depends_on": {"db": {"condition": "service_healthy"}}},
        "db": {},
        "cron": {"depends_on": {"db": {}}},
        "side": {"depends_on": {"web": {}}, "network_mode": "service:web"},
        "store": {"x-deployer": {"order": "stop-first"}},
        "late": {"depends_on": {"store": {}}},
    }
    assert levels_of(table) == {
        "web": 1,
        "api": 1,
        "db": 0,
        "cron": 0,
        "side": 2,
        "store": 0,
        "late": 1,
    }
    assert ranks_of(table) == {
        "web": 2,
        "api": 1,
        "db": 0,
        "cron": 1,
        "side": 3,
        "store": 0,
        "late": 1,
    }


def test_a_circle_is_refused() -> None:
    with pytest.raises(ComposeRejected, match="a → b → a"):
        levels_of({"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"a": {}}}})


def test_a_task_is_what_others_wait_for_to_end() -> None:
    table = {
        "web": {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
        "migrate": {},
    }
    assert services.completes("migrate", table)
    assert not services.completes("web", table)


@pytest.mark.parametrize("count", [-1, 101])
def test_a_number_of_replicas_nobody_means_is_refused(count: int) -> None:
    with pytest.raises(ComposeRejected, match=f"{count} replicas"):
        services.replicas_of({"scale": count})
