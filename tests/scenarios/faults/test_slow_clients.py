"""A thousand slow clients and two hundred viewers at once, and an honest client among them."""

from __future__ import annotations

import pytest

from testing.docker.docker_cli import wait_for
from testing.load.slow_clients import Crowd, Kinds
from testing.load.webhook_load import Load, send
from testing.receiver.receiver_process import SECRET, Server

SLOW, VIEWERS, DEAF = 500, 150, 50
RUNNING = "SELECT coalesce(max(id), '') FROM deployment WHERE status = 'in_progress'"


@pytest.mark.long
@pytest.mark.case("F01", "F02")
def test_an_honest_client_is_served_among_a_thousand_slow_ones_and_viewers() -> None:
    with Server(1) as server:
        server.keep_busy()
        assert send(Load(server.port, "/webhook", 30_000, 1, 1.0, SECRET, pause=1.0)).statuses == {"202": 1}
        running = wait_for("a deployment", lambda: server.value(RUNNING))
        story = f"/api/v1/deployments/{running}/events"
        kinds = Kinds(server.port, SLOW, SLOW, VIEWERS, DEAF, story=story, token=server.token("viewer"))
        with Crowd(kinds) as crowd:
            sent = send(Load(server.port, "/webhook", 30_000, 1, 15.0, SECRET, first=10, pause=0.5))
    print(f"{sent.statuses}, p99 {sent.percentile(0.99):.0f} ms; crowd: {crowd.seen}")
    assert sent.statuses == {"202": 30}
    assert crowd.seen["opened"] >= 2 * SLOW + VIEWERS + DEAF
