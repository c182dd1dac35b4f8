"""Answers that drip: a body or a line without an end. Each wait has one deadline for all of it."""

from __future__ import annotations

import time

import pytest

from deployer.ci.server.follow import DeploymentUnfinished, Followed, follow
from deployer.ci.server.url_check import verify
from deployer.ci.server.verify_inputs import Outside
from deployer.core.build.release_check import Demand, Sight
from testing.dripping_server import ENDLESS, dripping


def test_a_story_without_a_line_ends_with_the_timeout() -> None:
    with dripping("text/event-stream") as url:
        begun = time.monotonic()
        with pytest.raises(DeploymentUnfinished):
            follow(Followed(url, url, "token", url), time.monotonic() + 1)
        assert time.monotonic() - begun < ENDLESS / 2


def test_a_public_address_that_streams_for_ever_is_looked_at_for_as_long_as_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployer.ci.server.url_check._TIMEOUT", 0.5)
    with dripping("text/html") as url:
        begun = time.monotonic()
        seen = verify(Outside(url, 1, Demand.AUTO), "a" * 40, "")
        assert seen.sight is Sight.WRONG and "too long" in seen.reason
        assert time.monotonic() - begun < ENDLESS / 2
