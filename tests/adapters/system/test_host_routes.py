"""Routes of a machine, from tables as its kernel writes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.system.host_routes import host_routes

_END = "0\t0\t0\n"
ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    f"eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t{_END}"
    f"eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t{_END}"
    f"wg0\t0000080A\t00000000\t0001\t0\t0\t0\t0000FFFF\t{_END}"
    f"docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t{_END}"
    f"app1\t000016AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t{_END}"
)
_ZERO = "0" * 32
IPV6 = (
    f"fd000000000000000000000000000000 30 {_ZERO} 00 {_ZERO} 00000100 0 0 00000001 eth0\n"
    f"fe800000000000000000000000000000 40 {_ZERO} 00 {_ZERO} 00000100 0 0 00000001 eth0\n"
    f"{_ZERO} 00 {_ZERO} 00 {_ZERO} 00000100 0 0 00000003 eth0\n"
)
RESOLVERS = "search x\nnameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\n"


@pytest.mark.skipif(sys.byteorder != "little", reason="the table above is a little-endian machine's")
def test_routes_and_resolvers_count_and_the_engines_own_networks_do_not(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    (tmp_path / "ipv6_route").write_text(IPV6)
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text(RESOLVERS)
    engine: list[dict[str, Any]] = [{"IPAM": {"Config": [{"Subnet": "172.22.0.0/16"}]}}, {"IPAM": None}]
    assert host_routes(engine, tmp_path, resolvers) == (
        *("10.8.0.0/16", "192.168.2.0/24", "9.9.9.9/32", "fd00::/48", "fe80::1/128"),
    )


def test_a_machine_without_tables_has_no_routes(tmp_path: Path) -> None:
    assert host_routes([], tmp_path, tmp_path / "none") == ()
