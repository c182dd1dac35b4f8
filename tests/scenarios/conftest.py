"""Scenarios run on the real engine; each gets a stage of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.docker.stateful_app import MEMORY
from testing.stage import Published, Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture
def memory(stage: Stage) -> Published:
    """One built service that counts each visitor's requests in its own memory, and echoes WebSockets."""
    stage.source.write("backend/server.js", MEMORY)
    return stage.publish("1.0.0")
