from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.compose.routes import Route
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.haproxy_config import (
    assign_slots,
    fingerprint_in,
    fit_slots,
    merge_routes,
    peers_in,
    render_edge,
    routes_in,
    slots_in,
    take_over_ports,
)
from deployer.core.errors import EdgeUnavailable

WEB, DB = Route("web", 80, True, 2), Route("queue", 5000, False, 4)


def test_a_route_has_a_frontend_and_a_slot_for_each_replica_of_two_releases() -> None:
    text = render_edge([WEB], {"web_80": {2: "172.20.0.5"}})
    assert (
        "# route web 80 http 2\nfrontend fe_web_80\n    mode http\n    option idle-close-on-response\n"
        "    bind :80\n    http-request"
    ) in text
    assert "    option forwardfor if-none\n    use_backend" in text and "    default_backend web_80\n" in text
    assert "    server s1 0.0.0.0:80 disabled\n    server s2 172.20.0.5:80\n" in text


def test_edge_e1_the_number_of_connections_is_left_to_the_descriptors() -> None:
    text = render_edge([WEB, DB], {})
    assert "maxconn" not in text
    assert "    fd-hard-limit 65536\n    tune.bufsize 73728\n" in text


def test_edge_e5_grpc_has_servers_of_its_own_that_are_no_other_slots() -> None:
    slots = {"web_80": {2: "172.20.0.5"}}
    text = render_edge([WEB, DB], slots)
    assert "    use_backend web_80:grpc if { fc_http_major 2 } { req.hdr(Content-Type)" in text
    assert "    server s1 0.0.0.0:80 proto h2 disabled\n    server s2 172.20.0.5:80 proto h2\n" in text
    assert text.count("backend queue_5000") == 2 and slots_in(text) == slots | {"queue_5000": {}}


def test_bytes_are_passed_as_bytes() -> None:
    text = render_edge([DB], {})
    assert "mode tcp" in text and "forwardfor" not in text


def test_replicas_keep_their_clients_and_are_looked_after() -> None:
    text = render_edge([Route("api", 3001, True, 4)], {"api_3001": {2: "172.20.0.5"}})
    assert "req.cook(edge-api-3001)" in text and "use-server s4 if" in text
    assert "    server s2 172.20.0.5:3001 check\n    server s3 0.0.0.0:3001 check disabled\n" in text
    one, bytes_only = render_edge([WEB], {}), render_edge([DB], {})
    assert "Set-Cookie" not in one + bytes_only and " check" not in one
    assert "check disabled" in bytes_only


def test_the_stamp_names_everything_but_the_addresses() -> None:
    stamp = fingerprint_in(render_edge([WEB], {}))
    assert stamp and stamp == fingerprint_in(render_edge([WEB], {"web_80": {1: "172.20.0.2"}}))
    others = (render_edge([DB], {}), render_edge([WEB, DB], {}), render_edge([WEB], {}, "certificates"))
    assert len({stamp, *map(fingerprint_in, others)}) == 4
    assert fingerprint_in("") == ""


def test_tls_ends_at_ports_of_its_own() -> None:
    text = render_edge([Route("web", 80, True, 2, (443, 8443))], {})
    assert (
        "# route web 80 http 2 443 8443\n" in text
        and "    bind :80\n    bind :443 ssl crt /run/edge/certificates\n    bind :8443 ssl crt" in text
        and "    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)] if outside\n" in text
    )


def test_what_was_written_can_be_read_back() -> None:
    slots = {"web_80": {1: "172.20.0.2", 2: "172.20.0.3"}, "queue_5000": {4: "172.20.0.9"}}
    safe = replace(WEB, tls=(443,))
    text = render_edge([safe, DB], slots)
    assert set(routes_in(text)) == {safe, DB}
    assert slots_in(text) == slots
    assert routes_in("") == () and slots_in("") == {} and peers_in("") == ()


def test_networks_and_a_proxy_in_front_can_be_read_back_and_change_the_stamp() -> None:
    peers = (
        PeerNetwork("172.20.0.0/16", ("172.20.0.1",)),
        PeerNetwork("10.1.0.0/24", ("10.1.0.0", "10.1.0.1")),
    )
    inner = replace(WEB, service="inner", port=81, tls=(444,), behind_proxy=True)
    text = render_edge([WEB, inner, DB], {}, peers=peers)
    assert set(peers_in(text)) == set(peers) and set(routes_in(text)) == {WEB, inner, DB}
    texts = [
        text,
        render_edge([WEB, inner, DB], {}),
        render_edge([WEB, replace(inner, behind_proxy=False), DB], {}),
    ]
    assert len(set(map(fingerprint_in, texts))) == 3
    assert text == render_edge([WEB, inner, DB], {}, peers=peers[::-1])


def test_the_order_of_routes_does_not_matter() -> None:
    assert render_edge([WEB, DB], {}) == render_edge([DB, WEB], {})


@pytest.mark.parametrize(
    ("slots", "busy", "addresses", "after"),
    [
        ({}, [], ["a"], {1: "a"}),
        ({1: "a"}, [], ["b"], {2: "b"} | {}),
        ({1: "a"}, [1], ["b"], {2: "b"}),
        ({}, [1], ["b"], {2: "b"}),
        ({}, [1, 2], ["b"], {1: "b"}),
        ({1: "a"}, [2], ["b"], {2: "b"}),
        ({1: "a", 2: "b"}, [], ["b"], {2: "b"}),
        ({2: "a"}, [], ["a", "b"], {1: "b", 2: "a"}),
    ],
)
def test_an_address_keeps_its_slot_and_a_new_one_takes_a_free_one(
    slots: dict[int, str], busy: list[int], addresses: list[str], after: dict[int, str]
) -> None:
    assert assign_slots(slots, busy, addresses, 2) == after


def test_a_third_release_finds_no_slot() -> None:
    with pytest.raises(EdgeUnavailable, match="1 new replicas, 0 free slots"):
        assign_slots({1: "a", 2: "b"}, [], ["c"], 2)


def test_routes_of_two_releases_stand_side_by_side_with_the_larger_number_of_slots() -> None:
    grown, other = Route("web", 80, False, 6), Route("web", 443, False, 2)
    assert merge_routes([WEB, DB], [grown, other]) == (grown, DB, other)
    assert merge_routes([grown], [WEB]) == (Route("web", 80, True, 6),)


def test_addresses_move_into_the_slots_that_are_left() -> None:
    assert fit_slots([WEB], {"web_80": {5: "a", 2: "b"}, "gone_1": {1: "c"}}) == {"web_80": {1: "a", 2: "b"}}


def test_a_port_stays_where_it_is_until_it_is_taken_over() -> None:
    proxy = Route("proxy", 80, True, 2)
    assert merge_routes([WEB, DB], [proxy]) == (WEB, DB)
    assert take_over_ports([WEB, DB], [proxy]) == (DB, proxy)


def test_a_tls_port_that_moves_stays_where_it_is_until_the_end() -> None:
    safe, plain, proxy = replace(WEB, tls=(443,)), WEB, Route("proxy", 8080, True, 2, (443, 8443))
    assert merge_routes([safe], [plain, proxy]) == (safe, replace(proxy, tls=(8443,)))
    moved = Route("other", 8081, True, 2, (443,))
    assert take_over_ports([safe, DB], [moved]) == (plain, DB, moved)
