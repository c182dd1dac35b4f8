"""What two applications on one server cannot both have."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.conflicts import Held, Occupied, refuse_conflicts
from deployer.core.errors import DeployerError, ExternalMissing, NameTaken, PortTaken
from tests.core.models import application, shop

MAIL = "container mail-web-1 of project mail"


def refused(occupied: Occupied, model: dict[str, Any]) -> DeployerError:
    with pytest.raises(DeployerError) as caught:
        refuse_conflicts(application(model=model), occupied)
    return caught.value


def publishing(**port: Any) -> dict[str, Any]:
    model = shop()
    model["services"]["backend"]["ports"] = [{"target": 3001, **port}]
    return model


def test_nothing_taken_is_no_conflict() -> None:
    model = shop() | {"networks": {"default": None, "front": {"name": "shop_front"}}}
    refuse_conflicts(application(model=model), Occupied())


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (Held("", 3001, "tcp", MAIL), {"published": "3001"}),
        (Held("0.0.0.0", 3001, "tcp", MAIL), {"published": "3001", "host_ip": "127.0.0.1"}),
        (Held("127.0.0.1", 3001, "tcp", MAIL), {"published": "3001", "host_ip": "0.0.0.0"}),
        (Held("::", 3001, "tcp", MAIL), {"published": "3001", "host_ip": "127.0.0.1"}),
        (Held("10.0.0.1", 3001, "tcp", MAIL), {"published": "3001", "host_ip": "10.0.0.1"}),
        (Held("0.0.0.0", 3001, "udp", MAIL), {"published": "3001", "protocol": "udp"}),
    ],
)
def test_a_port_has_one_holder(held: Held, wanted: dict[str, Any]) -> None:
    error = refused(Occupied(ports=(held,)), publishing(**wanted))
    assert isinstance(error, PortTaken) and error.code == "port-taken"
    assert str(error).startswith("service backend publishes 3001/") and str(error).endswith(f"{MAIL} holds")
    assert "sport = :3001" in error.hint


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (Held("", 3002, "tcp"), {"published": "3001"}),
        (Held("", 3001, "udp"), {"published": "3001"}),
        (Held("10.0.0.1", 3001, "tcp"), {"published": "3001", "host_ip": "10.0.0.2"}),
        (Held("0.0.0.0", 3001, "tcp"), {"published": "3001", "host_ip": "::1"}),
        (Held("", 3001, "tcp"), {}),
        (Held("", 3001, "tcp"), {"published": "3001-3005"}),
    ],
)
def test_ports_that_do_not_meet(held: Held, wanted: dict[str, Any]) -> None:
    refuse_conflicts(application(model=publishing(**wanted)), Occupied(ports=(held,)))


def test_a_container_name_is_the_machines() -> None:
    model = shop()
    model["services"]["backend"]["container_name"] = "api"
    error = refused(Occupied(names={"api": "mail"}), model)
    assert isinstance(error, NameTaken) and "which a container of project mail has" in str(error)
    error = refused(Occupied(names={"api": ""}), model)
    assert "which a container of somebody else has" in str(error)
    refuse_conflicts(application(model=model), Occupied(names={"other": ""}))


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_what_is_external_must_be_there(kind: str) -> None:
    model = shop() | {f"{kind}s": {"shared": {"name": "proxy", "external": True}}}
    error = refused(Occupied(), model)
    assert isinstance(error, ExternalMissing) and f"the {kind} proxy" in str(error)
    assert f"docker {kind} create proxy" in error.hint
    there = Occupied(networks=frozenset({"proxy"}), volumes=frozenset({"proxy"}))
    refuse_conflicts(application(model=model), there)
