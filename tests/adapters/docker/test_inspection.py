"""Listings of the engine, read."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.adapters.docker.inspection import peer_networks, replica_of
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.model import ContainerState, Health


def network(name: str = "shop_default", driver: str = "bridge", **pool: str) -> dict[str, Any]:
    return {"Name": name, "Driver": driver, "IPAM": {"Config": [pool]}}


@pytest.mark.case("X12")
@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (network(Subnet="172.20.0.0/16", Gateway="172.20.0.1"), ("172.20.0.0/16", ("172.20.0.1",))),
        (network(Subnet="172.20.0.0/16", Gateway="172.20.0.9"), ("172.20.0.0/16", ("172.20.0.9",))),
        (network(Subnet="10.0.5.0/24"), ("10.0.5.0/24", ("10.0.5.0", "10.0.5.1"))),
        (
            network(Subnet="10.0.5.0/24", IPRange="10.0.5.128/25"),
            ("10.0.5.0/24", ("10.0.5.0", "10.0.5.1", "10.0.5.128", "10.0.5.129")),
        ),
        (network("billing_default", Subnet="172.20.0.0/16"), None),
        (network(driver="macvlan", Subnet="192.168.1.0/24", Gateway="192.168.1.1"), None),
        (network(Subnet="fd00::/64", Gateway="fd00::1"), None),
        ({"Name": "shop_default", "Driver": "bridge", "IPAM": {"Config": None}}, None),
        ({"Name": "shop_default", "Driver": "bridge"}, None),
    ],
)
def test_peers_are_on_the_edges_own_bridges_and_the_gateway_is_none(
    listed: dict[str, Any], found: tuple[str, tuple[str, ...]] | None
) -> None:
    assert peer_networks([listed], {"shop_default"}) == ((PeerNetwork(*found),) if found else ())


def inspection(**state: Any) -> dict[str, Any]:
    return {
        "Id": "1",
        "Name": "/shop-web-1",
        "Image": "sha256:config",
        "State": state,
        "Config": {"Image": "nginx", "Labels": None},
        "HostConfig": {},
        "NetworkSettings": {"Networks": None},
        "Mounts": [],
    }


@pytest.mark.parametrize("state", [*ContainerState])
@pytest.mark.parametrize("health", [*Health])
def test_states_of_a_container_are_the_engines_words(state: ContainerState, health: Health) -> None:
    found = replica_of(inspection(Status=str(state), Health={"Status": str(health)}))
    assert (found.state, found.health) == (state, health)
    assert found.running == (state == "running")


def test_a_container_without_a_check_has_no_health() -> None:
    assert replica_of(inspection(Status="running", Health=None)).health is Health.NONE


def test_words_of_another_engine_hide_no_container() -> None:
    found = replica_of(inspection(Status="stopping", Health={"Status": "resting"}))
    assert found.state is ContainerState.UNKNOWN and found.health is Health.UNKNOWN and not found.running
