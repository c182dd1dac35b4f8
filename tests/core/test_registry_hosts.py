"""Names and addresses of registries, realms and redirects: which lead inside."""

from __future__ import annotations

import pytest

from deployer.core.registry_hosts import is_inside, is_loopback, may_ask_realm, named_hosts, split_url


@pytest.mark.case("X08")
@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("224.0.0.1", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("no address", True),
        ("140.82.112.33", False),
        ("2606:50c0:8000::154", False),
        ("::ffff:140.82.112.33", False),
    ],
)
def test_an_address_of_this_machine_its_link_or_its_network_is_inside(address: str, inside: bool) -> None:
    assert is_inside(address) is inside


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("127.example", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_is_known_by_its_text(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.case("X08")
@pytest.mark.parametrize(
    ("realm", "plain", "may"),
    [
        ("https://auth.example/token", False, True),
        ("http://127.0.0.1:5000/token", True, True),
        ("http://127.0.0.1:5000/token", False, False),
        ("http://127.0.0.1:5001/token", True, False),
        ("https://me@auth.example/token", False, False),
        ("https://auth.example:99999/", False, False),
        ("/token", True, False),
        ("", True, False),
    ],
)
def test_a_realm_is_asked_by_tls_or_at_the_registrys_own_place(realm: str, plain: bool, may: bool) -> None:
    assert may_ask_realm(realm, "127.0.0.1:5000", plain=plain) is may


def test_only_hosts_that_are_named_in_full_are_named() -> None:
    assert named_hosts(["10.0.0.1:5000/*", "*.example/x", "acme/*"]) == {"10.0.0.1:5000", "docker.io"}
    assert split_url("http://[::1") is None
