"""Services that are scaled to nothing behind the real edge."""

from __future__ import annotations

import pytest

from testing.stage import Published, Stage
from tests.scenarios.deploys.test_compose_shapes import ask, of, ship

pytestmark = pytest.mark.engine
COMPOSE = """
    services:
      web:
        build: backend
        ports: ["{{port}}:3001"]
        {scale}
        {{check}}
"""


WORKER = "deploy: {replicas: 0}\n      worker:\n        build: backend\n        scale: 0"


@pytest.mark.parametrize(
    "scale", ["deploy: {replicas: 0}", "scale: 0", WORKER], ids=["replicas", "scale", "a worker too"]
)
def test_edge_e7_a_service_without_replicas_is_no_drift(stage: Stage, memory: Published, scale: str) -> None:
    for text in (COMPOSE.format(scale=scale), COMPOSE.format(scale=""), COMPOSE.format(scale=scale)):
        ended = ship(stage, memory, text)
        assert ended["status"] == "success", ended["reason"]
        told = stage.cli("status")
        assert told.returncode == 0, told.stdout
        if scale not in text:
            assert ask(stage)["host"]
    assert not of(stage, "web")
    edge = of(stage, "deployer-edge")[0]["Id"]
    assert ship(stage, memory, COMPOSE.format(scale=scale))["status"] == "success"
    assert of(stage, "deployer-edge")[0]["Id"] == edge
    assert "nothing to do" in stage.cli("plan", "shop").stdout
