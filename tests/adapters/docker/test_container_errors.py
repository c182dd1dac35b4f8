"""The engine's words for what it will not make, with the next step."""

from __future__ import annotations

import pytest

from deployer.adapters.docker.container_errors import is_refusal, refusal


@pytest.mark.parametrize(
    "words",
    [
        "invalid pool request: Pool overlaps with other one on this address space",
        "Pool overlaps with other one on this address space",
        "network 10.0.0.0/24 conflicts with network br-0a1b2c (10.0.0.0/16): networks have overlapping IPv4",
        "cannot create network: subnet 172.16.0.0/12 overlaps with other address spaces",
        "user specified IP address is supported only for networks with user configured subnets",
    ],
)
def test_w9_an_overlapping_subnet_names_ipam(words: str) -> None:
    error = refusal("network shop_default", f"failed to create task for container: {words}")
    assert is_refusal(words) and error.code == "container-refused"
    assert words in str(error) and "`ipam`" in error.hint


def test_w9_other_words_keep_their_hint() -> None:
    assert "volumes" in refusal("web", "bind source path does not exist: /x").hint
    assert refusal("web", "nobody has seen this").hint == "look at the service in the Compose file"
