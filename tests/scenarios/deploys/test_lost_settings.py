"""Settings of Compose files that used to be lost on the way to the containers, each with the row's id."""

from __future__ import annotations

import pytest

from testing.stage import Published, Stage
from tests.scenarios.deploys.test_compose_shapes import ask, echo, ship

__all__ = ["echo"]
pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    "extension",
    [
        "{since: 2024-01-01}",
        "{at: 2001-12-14t21:59:43.10-05:00, ids: [0o17, 0x1F, 1_000, 1:30]}",
        "{words: [yes, ~, '2024-01-01', =, <<], deep: {day: 2024-02-29}}",
    ],
)
def test_v10_a_date_in_an_extension_deploys(stage: Stage, echo: Published, extension: str) -> None:
    text = f"""
        x-owner: {extension}
        services:
          web:
            build: backend
            x-owner: {extension}
            environment: {{MARK: dated}}
            ports: ["{{port}}:3001"]
            {{check}}
    """
    ended = ship(stage, echo, text)
    assert ended["status"] == "success", ended["reason"]
    assert ask(stage)["env"] == "dated"
    assert "nothing to do" in stage.cli("plan", "shop").stdout
