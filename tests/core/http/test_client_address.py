"""Whose address counts, whatever the headers claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.http.client_address import Caller, caller_of, read_networks

PROXIES = read_networks(("127.0.0.1", "::1", "172.16.0.0/12"))


@pytest.mark.case("E04")
@pytest.mark.parametrize(
    ("peer", "forwarded", "key", "shared"),
    [
        ("203.0.113.9", "", "203.0.113.9", False),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9", False),  # nobody believes who is no proxy
        ("127.0.0.1", "198.51.100.1", "198.51.100.1", False),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1", False),  # the first is the caller's own word
        ("127.0.0.1", "198.51.100.1, 172.20.0.3", "198.51.100.1", False),  # two proxies in a row
        ("127.0.0.1", "6.6.6.6, 198.51.100.1, 172.20.0.3", "198.51.100.1", False),
        ("127.0.0.1", "", "127.0.0.1", True),
        ("127.0.0.1", "unknown", "127.0.0.1", True),
        ("127.0.0.1", "198.51.100.1, junk", "127.0.0.1", True),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1", False),
        ("127.0.0.1", "[2001:db8:1:2::3]:4711", "2001:db8:1:2::/64", False),
        ("127.0.0.1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64", False),
        ("2001:db8:1:3::1", "", "2001:db8:1:3::/64", False),
        ("fe80::1%eth0", "", "fe80::/64", False),
        ("::ffff:203.0.113.9", "", "203.0.113.9", False),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1", False),
        ("", "198.51.100.1", "unknown", True),
        ("localhost", "", "unknown", True),
        ("127.0.0.2", "198.51.100.1", "127.0.0.2", False),
    ],
)
def test_a_forwarded_address_counts_only_as_far_as_known_proxies_wrote_it(
    peer: str, forwarded: str, key: str, shared: bool
) -> None:
    caller = caller_of(peer, forwarded, PROXIES)
    assert (caller.key, caller.shared) == (key, shared)


def test_the_audit_log_gets_the_whole_address() -> None:
    assert caller_of("2001:db8::5", "", PROXIES).address == "2001:db8::5"


def test_of_a_longer_chain_the_end_is_read() -> None:
    chain = ", ".join(["198.51.100.1", *["172.20.0.3"] * 50])
    assert caller_of("127.0.0.1", chain, PROXIES) == Caller("172.20.0.3", "172.20.0.3", True)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_header_gives_a_caller(peer: str, forwarded: str) -> None:
    assert caller_of(peer, forwarded, PROXIES).key
    assert caller_of("203.0.113.9", forwarded, PROXIES) == Caller("203.0.113.9", "203.0.113.9", False)
