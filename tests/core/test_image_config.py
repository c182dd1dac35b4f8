"""Reading the configuration of an image."""

from __future__ import annotations

import pytest

from deployer.core.image_config import ImageConfig, parse_image_config


def test_every_inherited_value_of_a_dockerfile_is_read() -> None:
    check = {"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000}
    config = {
        "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Healthcheck": check,
        "Env": ["A=b"],
        "Entrypoint": ["node"],
        "Cmd": ["server.js"],
    }
    assert parse_image_config(config) == ImageConfig(
        {"a": "b"}, ("53/udp", "80/tcp"), ("/data",), check, ("A=b",), ("node", "server.js")
    )


@pytest.mark.parametrize("config", [{}, {"Labels": None, "Cmd": "x", "Volumes": ["/data"], "Env": {}}])
def test_a_value_of_another_shape_counts_as_absent(config: dict[str, object]) -> None:
    assert parse_image_config(config) == ImageConfig()
