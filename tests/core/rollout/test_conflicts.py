"""What two applications on one server cannot both have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.compose.project_names import ComposeProject
from deployer.core.errors import DeployerError, ExternalMissing, NameTaken, PortTaken, SubnetTaken
from deployer.core.permissions.grants import PowerRefused
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.rollout.conflicts import Held, Occupied, beside, refuse_conflicts
from testing.compose_models import application, shop

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
        (Held("", 3001, "tcp"), {"published": ""}),
        (Held("", 3001, "tcp"), {"published": "0"}),
        (Held("", 3006, "tcp"), {"published": "3001-3005"}),
        (Held("127.0.0.1", 3002, "tcp"), {"published": "3001-3005", "host_ip": "127.0.0.2"}),
        (Held("127.0.0.1", 3002, "udp"), {"published": "3001-3005"}),
    ],
)
def test_ports_that_do_not_meet(held: Held, wanted: dict[str, Any]) -> None:
    refuse_conflicts(application(model=publishing(**wanted)), Occupied(ports=(held,)))


@pytest.mark.case("X10")
@pytest.mark.parametrize("taken", [9000, 9001, 9010])
def test_a_range_is_judged_by_every_port_in_it(taken: int) -> None:
    """The engine takes the first that is free, and at a boot no port is held yet."""
    wanted = publishing(published="9000-9010", host_ip="127.0.0.1")
    error = refused(Occupied(ports=(Held("127.0.0.1", taken, "tcp", "the deployer's own address"),)), wanted)
    assert isinstance(error, PortTaken)
    assert str(error) == (
        f"service backend publishes {taken}/tcp with the range 127.0.0.1:9000-9010/tcp,"
        " which the deployer's own address holds"
    )


def twice(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    model = shop()
    for name, port in (("backend", first), ("frontend", second)):
        model["services"][name]["ports"] = [{"target": 3001, **port}]
    return model


@pytest.mark.case("H01")
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"published": "80"}, {"published": "80"}, "80/tcp"),
        (
            {"published": "80", "host_ip": "0.0.0.0"},
            {"published": "80", "host_ip": "127.0.0.1"},
            "0.0.0.0:80/tcp and 127.0.0.1:80/tcp, which are one port",
        ),
        (
            {"published": "80"},
            {"published": "80", "host_ip": "::1"},
            "80/tcp and [::1]:80/tcp, which are one port",
        ),
        (
            {"published": "80", "host_ip": "::"},
            {"published": "80", "host_ip": "::1"},
            "[::]:80/tcp and [::1]:80/tcp, which are one port",
        ),
        ({"published": "53", "protocol": "udp"}, {"published": "53", "protocol": "udp"}, "53/udp"),
    ],
)
def test_two_services_of_one_file_cannot_publish_one_port(
    first: dict[str, Any], second: dict[str, Any], told: str
) -> None:
    error = refused(Occupied(), twice(first, second))
    assert isinstance(error, PortTaken)
    assert str(error) == f"services backend and frontend of the Compose file both publish {told}"


@pytest.mark.case("H01")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"published": "80", "host_ip": "127.0.0.1"}, {"published": "80", "host_ip": "127.0.0.2"}),
        ({"published": "80", "host_ip": "0.0.0.0"}, {"published": "80", "host_ip": "::"}),
        ({"published": "80", "host_ip": "127.0.0.1"}, {"published": "80", "host_ip": "::1"}),
        ({"published": "53"}, {"published": "53", "protocol": "udp"}),
        ({"published": "8080-8090"}, {"published": "8085"}),
        ({}, {}),
        ({"published": "0"}, {"published": "0"}),
    ],
)
def test_services_of_one_file_share_a_number_by_address_or_protocol(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    refuse_conflicts(application(model=twice(first, second)), Occupied())


@pytest.mark.case("H01")
def test_a_service_may_publish_its_port_at_several_addresses_and_on_the_hosts_network_it_publishes_none() -> (
    None
):
    model = twice({"published": "80"}, {"published": "80"})
    ports = model["services"]["backend"]["ports"]
    ports.append({"target": 3001, "published": "80", "host_ip": "127.0.0.1"})
    model["services"]["frontend"] |= {"network_mode": "host", "networks": None}
    refuse_conflicts(application(model=model), Occupied())


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


@pytest.mark.case("X06")
@pytest.mark.parametrize(
    "pool",
    [
        {"subnet": "10.77.77.0/25"},
        {"subnet": "10.77.0.0/16"},
        {"subnet": "10.9.9.0/24", "gateway": "10.77.77.254"},
        {"subnet": "10.9.9.0/24", "ip_range": "10.77.77.0/28"},
        {"subnet": "192.168.7.0/24"},
        {"subnet": "fd00:7::/64"},
    ],
)
def test_x6_a_subnet_that_the_server_reaches_otherwise_is_refused(pool: dict[str, str]) -> None:
    taken = Occupied(routes=("10.77.77.0/24", "192.168.7.53/32", "fd00:7::/48"))
    model = shop()
    model["networks"]["default"]["ipam"] = {"config": [pool]}
    assert isinstance(refused(taken, model), SubnetTaken)


def test_a_subnet_that_nothing_uses_is_no_conflict() -> None:
    model = shop()
    model["networks"]["default"]["ipam"] = {"config": [{"subnet": "10.9.9.0/24"}, {"subnet": "fd00:9::/64"}]}
    model["networks"]["other"] = None
    refuse_conflicts(application(model=model), Occupied(routes=("10.77.77.0/24", "fd00:7::/48")))


def test_a_default_name_that_another_container_has_is_told() -> None:
    error = refused(Occupied(names={"shop-backend-2": "shop-backend"}), shop())
    assert isinstance(error, NameTaken)
    assert "service backend needs the name shop-backend-2" in str(error)
    assert "a container of project shop-backend" in str(error)
    free = Occupied(names={"shop-backend-api-1": "shop-backend", "shop-backend": "", "x-shop-backend-1": ""})
    refuse_conflicts(application(model=shop()), free)


def test_data_and_names_of_projects_that_only_the_engine_knows_are_theirs() -> None:
    model = shop() | {"volumes": {"legacy_data": None, "other": {"name": "fast"}}, "networks": {"n": None}}
    model["services"]["backend"]["container_name"] = "legacy-web-1"
    app = application(model=model)
    app = replace(app, permissions=Permissions("shop", frozenset({"volume:fast"}), "apps.shop"))
    refuse_conflicts(app, Occupied())
    services = frozenset({"web"})
    legacy = {name: ComposeProject(name, services) for name in ("shop", "shop_legacy", "legacy")}
    with pytest.raises(PowerRefused) as refused:
        refuse_conflicts(app, Occupied(projects=legacy))
    grants = '"container_name:legacy-web-1", "volume:shop_legacy_data"'
    assert f"[apps.shop] allow = [{grants}]" in refused.value.hint
    granted = frozenset({"container_name:legacy-web-1", "volume:shop_legacy_data"})
    refuse_conflicts(replace(app, permissions=Permissions("shop", granted)), Occupied(projects=legacy))
    assert beside(app, Occupied(projects=legacy)).permissions.around.seen["legacy"] == services
