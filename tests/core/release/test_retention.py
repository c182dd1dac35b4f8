"""What is kept for a way back, and whether there is room for more."""

from __future__ import annotations

import dataclasses
import re

import pytest

from deployer.core.backoff import PATIENCE, TRIES, pause
from deployer.core.errors import DiskFull
from deployer.core.model import Bundle, Deployment, Release, Status
from deployer.core.release.retention import bytes_needed, judge_space, kept_releases, unneeded
from testing.compose_models import image
from tests.core.reporting.test_deployment_text import a_deployment


def ended(release: str, status: Status = Status.SUCCESS, environment: str = "production") -> Deployment:
    return dataclasses.replace(a_deployment(), release=release, status=status, environment=environment)


def test_the_newest_releases_that_served_stay_each_counted_once() -> None:
    history = [ended("c"), ended("b"), ended("c"), ended("a"), ended("z")]
    assert kept_releases(history, {"production": 3}) == {"c", "b", "a"}


def test_a_release_that_never_served_goes_and_one_that_is_on_its_way_stays() -> None:
    history = [
        ended("q", Status.QUEUED),
        ended("r", Status.IN_PROGRESS),
        ended("f", Status.FAILURE),
        ended("a"),
    ]
    assert kept_releases(history, {"production": 1}) == {"q", "r", "a"}


def test_every_environment_has_a_rollback_set_of_its_own_and_a_former_one_none() -> None:
    history = [ended("a"), ended("s", environment="staging"), ended("b"), ended("x", environment="gone")]
    assert kept_releases(history, {"production": 1, "staging": 5}) == {"a", "s"}


def test_an_image_goes_with_the_last_release_that_has_it() -> None:
    old, shared = image("web", "a"), image("web", "b")
    kept = [Release("r", "shop", "f" * 40, {"web": shared}, Bundle("c", {}), {})]
    assert unneeded([old, shared], kept) == (old,)


def test_only_layers_that_are_missing_need_room() -> None:
    assert bytes_needed({"base": 50_000_000, "new": 2_000_000}, {"base"}) == 6_000_000
    assert bytes_needed({}, set()) == 0


def test_too_little_room_is_told_with_figures() -> None:
    judge_space(600_000_000, 700_000_000)
    judge_space(0, 0)
    with pytest.raises(DiskFull, match=re.escape("about 600 MB on the engine's disk, 640 MB are free")):
        judge_space(600_000_000, 640_000_000)


def test_tries_come_later_and_later_and_apart_and_end() -> None:
    assert [pause(tried, 0.0, 0.5) for tried in range(1, TRIES)] == [0.5, 1.0, 2.0]
    assert (pause(1, 0.0, 0.0), pause(1, 0.0, 1.0)) == (0.25, 0.75)
    assert pause(TRIES, 0.0, 0.5) is None
    assert pause(1, PATIENCE + 1, 0.5) is None
