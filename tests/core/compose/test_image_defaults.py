from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.health_check import HttpProbe
from deployer.core.compose.image_defaults import with_image_defaults
from deployer.core.compose.services import (
    START_FIRST,
    STOP_FIRST,
    gate_seconds_of,
    is_checked,
    order_of,
    probe_of,
)
from deployer.core.compose.volumes import nameless_of
from deployer.core.image_config import ImageConfig
from deployer.core.rollout.desired_state import assemble
from testing.compose_models import EDGE_SETTINGS, image, shop

SECOND = 1_000_000_000
CHECK = {
    "Test": ["CMD-SHELL", "wget -qO- http://127.0.0.1:3001/health"],
    "Interval": 2 * SECOND,
    "Timeout": 3 * SECOND,
    "StartPeriod": 120 * SECOND,
    "StartInterval": SECOND // 4,
    "Retries": 5,
}


def completed(service: dict[str, Any], **config: Any) -> dict[str, Any]:
    return dict(with_image_defaults(service, ImageConfig(**({"healthcheck": CHECK} | config))))


@pytest.mark.case("H04")
def test_a_service_without_a_check_of_its_own_has_its_images() -> None:
    service = completed({"image": "x"})
    assert service["healthcheck"] == {
        "test": CHECK["Test"],
        "interval": "2000ms",
        "timeout": "3000ms",
        "start_period": "120000ms",
        "start_interval": "250ms",
        "retries": 5,
    }
    assert is_checked(service) and probe_of(service) == HttpProbe(3001, "/health", "127.0.0.1")
    assert gate_seconds_of(service) == 120 + 6 * 5


@pytest.mark.case("H04")
@pytest.mark.parametrize(
    ("own", "checked", "gate"),
    [
        ({"interval": "75s"}, True, 120 + 6 * 78),
        ({"start_period": "15m"}, True, 900 + 6 * 5),
        ({"interval": "0s", "retries": 0, "test": []}, True, 120 + 6 * 5),
        ({"test": ["CMD", "true"], "retries": 1}, True, 120 + 2 * 5),
        ({"disable": True}, False, 60),
        ({"test": ["NONE"]}, False, 60),
    ],
)
def test_the_file_and_the_image_make_one_check_as_the_engine_merges_them(
    own: dict[str, Any], checked: bool, gate: float
) -> None:
    service = completed({"healthcheck": own})
    assert (is_checked(service), gate_seconds_of(service)) == (checked, gate)


@pytest.mark.case("H04")
@pytest.mark.parametrize(
    "check",
    [
        {},
        {"Test": ["NONE"]},
        {"Test": "true", "Interval": "soon", "Retries": -1},
        {"Interval": SECOND},
    ],
)
def test_an_image_without_a_usable_check_checks_nothing(check: dict[str, Any]) -> None:
    assert not is_checked(completed({}, healthcheck=check))


@pytest.mark.case("H04")
def test_a_gate_timeout_wins_over_every_check() -> None:
    assert gate_seconds_of(completed({"x-deployer": {"gate-timeout": "7s"}})) == 7


@pytest.mark.case("H04")
def test_an_images_environment_lies_below_the_files() -> None:
    table = completed({"environment": {"A": "file"}}, environment=("A=image", "B=x=y"))
    assert table["environment"] == {"A": "file", "B": "x=y"}


def test_a_service_of_an_unknown_image_stays_as_it_is() -> None:
    service = {"image": "x"}
    assert with_image_defaults(service, None) is service
    assert with_image_defaults(service, ImageConfig()) == service


@pytest.mark.case("H06")
@pytest.mark.parametrize(
    ("service", "nameless"),
    [
        ({}, ("/cache", "/srv/x/data")),
        ({"volumes": [{"type": "volume", "source": "n", "target": "/cache"}]}, ("/srv/x/data",)),
        ({"volumes": [{"type": "bind", "source": "/srv", "target": "/cache/"}]}, ("/srv/x/data",)),
        ({"tmpfs": "/cache:size=1m"}, ("/srv/x/data",)),
        ({"tmpfs": ["/cache", "/srv/x/data"]}, ()),
        ({"volumes": [{"type": "volume", "source": "n", "target": "/srv/x"}]}, ("/cache", "/srv/x/data")),
        ({"volumes": [{"type": "volume", "target": "/own"}]}, ("/cache", "/own", "/srv/x/data")),
    ],
)
def test_an_images_volume_is_nameless_where_the_file_mounts_nothing_at_the_very_path(
    service: dict[str, Any], nameless: tuple[str, ...]
) -> None:
    """A volume above it hides nothing: the engine mounts the nameless one inside."""
    table = completed(service, volumes=("/cache/", "/srv/x/data", "/tmp"))
    assert nameless_of(table) == (tuple(sorted((*nameless, "/tmp"))) if nameless else ())
    assert order_of(table).name == (STOP_FIRST if nameless else START_FIRST)


@pytest.mark.case("H04")
def test_no_spec_and_no_document_changes_with_what_an_image_declares() -> None:
    images = {"backend": image("backend", "a"), "frontend": image("frontend", "b")}
    asks_80 = {**CHECK, "Test": ["CMD", "curl", "-f", "http://localhost/"]}
    configs = {
        "backend": ImageConfig(healthcheck=CHECK, ports=("3001/tcp",)),
        "frontend": ImageConfig(healthcheck=asks_80, ports=("80/tcp",)),
    }
    plain = assemble(shop(), images, "shop", EDGE_SETTINGS)
    known = assemble(shop(), images, "shop", EDGE_SETTINGS, configs)
    assert {one.name: one.spec for one in known.services} == {one.name: one.spec for one in plain.services}
    assert known.document == plain.document == shop()
    assert known.service("frontend").checked and not plain.service("frontend").checked  # type: ignore[union-attr]
