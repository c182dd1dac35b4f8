"""Rules as text; tests/scenarios/traffic/test_forwarded_headers.py has them on a real HAProxy."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.services import is_behind_proxy
from deployer.core.docker.forwarded_headers import PeerNetwork, forwarded_rules
from deployer.core.errors import ComposeRejected

pytestmark = pytest.mark.case("X12")
NETWORK = PeerNetwork("172.20.0.0/16", ("172.20.0.1",))


def test_without_known_networks_everybody_comes_from_outside() -> None:
    assert forwarded_rules(False, [])[0] == "http-request set-var(txn.outside) int(1)"


def test_a_peer_is_a_container_and_not_the_gateway() -> None:
    both = forwarded_rules(False, [NETWORK, PeerNetwork("10.1.0.0/24", ("10.1.0.0", "10.1.0.1"))])[0]
    assert both.endswith(" unless { src 172.20.0.0/16 10.1.0.0/24 } !{ src 172.20.0.1 10.1.0.0 10.1.0.1 }")
    assert forwarded_rules(True, [PeerNetwork("10.2.0.0/24")])[0].endswith(" unless { src 10.2.0.0/24 }")


def test_a_claim_is_deleted_only_where_no_proxy_stands_in_front() -> None:
    assert any("del-header" in rule for rule in forwarded_rules(False, [NETWORK]))
    assert not any("del-header" in rule for rule in forwarded_rules(True, [NETWORK]))


PUBLISHED: list[tuple[list[dict[str, Any]], object, bool]] = [
    ([{"target": 3001, "published": "8080"}], None, False),
    ([{"target": 3001, "published": "8080", "host_ip": "127.0.0.1"}], None, True),
    ([{"target": 3001, "published": "8080", "host_ip": "127.0.0.53"}], None, True),
    ([{"target": 3001, "published": "8080", "host_ip": "::1"}], None, True),
    ([{"target": 3001, "published": "8080", "host_ip": "0.0.0.0"}], None, False),
    ([{"target": 3001, "published": "8080", "host_ip": "::"}], None, False),
    ([{"target": 3001, "published": "8080", "host_ip": "10.0.0.4"}], None, False),
    (
        [
            {"target": 3001, "published": "8080", "host_ip": "127.0.0.1"},
            {"target": 3001, "published": "80"},
        ],
        None,
        False,
    ),
    (
        [
            {"target": 3001, "published": "8080", "host_ip": "127.0.0.1"},
            {"target": 80, "published": "80"},
        ],
        None,
        True,
    ),
    ([], None, False),
    ([{"target": 3001, "published": "8080"}], True, True),
    ([{"target": 3001, "published": "8080", "host_ip": "127.0.0.1"}], False, False),
]


@pytest.mark.parametrize(("ports", "declared", "behind"), PUBLISHED)
def test_a_port_on_the_loopback_alone_has_a_proxy_in_front(
    ports: list[dict[str, Any]], declared: object, behind: bool
) -> None:
    settings = {} if declared is None else {"x-deployer": {"behind-proxy": declared}}
    assert is_behind_proxy({"ports": ports, **settings}, 3001) is behind


@pytest.mark.parametrize("declared", ["yes", "true", 1, 0, ["true"], {}])
def test_whether_a_proxy_stands_in_front_is_true_or_false(declared: object) -> None:
    with pytest.raises(ComposeRejected, match=r"x-deployer\.behind-proxy"):
        is_behind_proxy({"x-deployer": {"behind-proxy": declared}}, 3001)
