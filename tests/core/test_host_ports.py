"""Host ports as text, from Compose and from the engine."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.errors import ComposeRejected
from deployer.core.host_ports import (
    HostPort,
    bound_ports,
    check_ports,
    host_ports_of,
    is_every_address,
    is_free,
)


def of(address: str, first: int, last: int = 0, protocol: str = "tcp") -> HostPort:
    return HostPort(address, first, last or first, protocol)


@pytest.mark.parametrize(
    ("port", "shown"),
    [
        ({"target": 80, "published": "8080", "protocol": "tcp"}, "8080/tcp"),
        ({"target": 53, "published": "53", "protocol": "udp"}, "53/udp"),
        ({"target": 80, "published": "8000-8002"}, "8000-8002/tcp"),
        ({"target": 80, "published": 8080, "host_ip": "127.0.0.1", "mode": "host"}, "127.0.0.1:8080/tcp"),
        ({"target": 80, "published": "8080", "host_ip": "::1"}, "[::1]:8080/tcp"),
        ({"target": 80, "published": "8080", "host_ip": "[::1]"}, "[::1]:8080/tcp"),
    ],
)
@pytest.mark.case("H01")
def test_a_published_port_has_an_address_a_number_and_a_protocol(port: dict[str, Any], shown: str) -> None:
    assert [str(found) for found in host_ports_of({"ports": [port, {"target": 81}]})] == [shown]


@pytest.mark.case("H01")
def test_what_the_engine_chooses_and_the_hosts_own_network_are_no_host_ports() -> None:
    assert host_ports_of({"ports": [{"target": 80}, {"target": 81, "published": "0"}]}) == ()
    assert host_ports_of({"network_mode": "host", "ports": [{"target": 80, "published": "80"}]}) == ()


@pytest.mark.case("H01")
def test_the_engines_bindings_are_host_ports() -> None:
    bindings = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
        "81/tcp": None,
        "82/tcp": [{"HostIp": "", "HostPort": ""}],
    }
    assert [str(port) for port in bound_ports(bindings)] == [
        "0.0.0.0:8080/tcp",
        "127.0.0.1:53/udp",
        "[::]:8080/tcp",
    ]


@pytest.mark.case("H01")
def test_a_range_is_free_while_it_has_room() -> None:
    wanted = of("127.0.0.1", 9000, 9002)
    assert is_free(wanted, [])
    assert is_free(wanted, [of("", 9000), of("127.0.0.2", 9001)], 2)
    assert not is_free(wanted, [of("", 9000), of("127.0.0.1", 9001)], 2)
    assert not is_free(wanted, [of("0.0.0.0", 9000, 9002)])
    assert not is_free(of("", 80), [of("127.0.0.1", 80)])
    assert is_free(of("", 80), [of("127.0.0.1", 80, protocol="udp")])


@pytest.mark.case("H01")
def test_every_address() -> None:
    assert [is_every_address(one) for one in ("", "0.0.0.0", "::", "127.0.0.1")] == [True, True, True, False]


@pytest.mark.case("X10")
@pytest.mark.parametrize(
    "address",
    [
        *(
            "::ffff:127.0.0.1",
            "[127.0.0.2]",
            "[::1]",
            "localhost",
            "abc",
            "fe80::1%eth0",
            "1.2.3.4:5",
            "127.1",
        ),
        *("0:0:0:0:0:0:0:0", "0::0", "2130706433", "::FFFF:7f00:1", "127.0.0.01"),
    ],
)
def test_x10_an_address_that_can_be_read_in_two_ways_is_refused(address: str) -> None:
    with pytest.raises(ComposeRejected, match="no address of a host"):
        check_ports({"web": {"ports": [{"target": 80, "published": "8080", "host_ip": address}]}})


@pytest.mark.parametrize(
    "port",
    [
        *({"published": "8080"}, {"target": 0}, {"target": 70000}),
        *({"target": 80, "published": "99999999"}, {"target": 80, "published": "9-8"}),
    ],
)
def test_a_number_that_is_no_port_is_refused(port: dict[str, object]) -> None:
    with pytest.raises(ComposeRejected, match="is no port"):
        check_ports({"web": {"ports": [port]}})


def test_ports_are_bounded_and_plain_ones_pass() -> None:
    addresses = ("", "127.0.0.1", "0.0.0.0", "::", "::1", "fd00::1", "2001:DB8::1")
    check_ports({"web": {"ports": [{"target": 80, "published": "80", "host_ip": one} for one in addresses]}})
    check_ports({"web": {"ports": [{"target": 80}]}, "worker": {}})
    with pytest.raises(ComposeRejected, match="at most 1000"):
        check_ports({"web": {"ports": [{"target": 80, "published": "20000-21000"}]}})
