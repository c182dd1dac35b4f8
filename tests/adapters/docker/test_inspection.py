"""Listings of the engine, read."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.adapters.docker.inspection import peer_networks
from deployer.core.docker.forwarded_headers import PeerNetwork


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
