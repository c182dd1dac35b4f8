"""Scenarios run on the real engine; each gets a stage of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stand.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made
