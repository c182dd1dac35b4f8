"""A server with a file of root on it, for the tests of the last gate."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.core.images import Image
from testing.security.canary_host import Host, pushed_image


@pytest.fixture(scope="module")
def image() -> Image:
    return pushed_image()


@pytest.fixture
def host(tmp_path: Path, image: Image) -> Iterator[Host]:
    made = Host(tmp_path, image, f"gate-{uuid.uuid4().hex[:8]}")
    assert made.canary.facts() == made.canary.untouched
    yield made
    made.clear()


@pytest.fixture
def held(host: Host) -> Iterator[Host]:
    """The file of root is root's, closed to all others and as it was."""
    yield host
    assert host.canary.facts() == host.canary.untouched
