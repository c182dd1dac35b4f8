"""Who starts first: the service that took longest the last time, also for the next deployer process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.core.errors import StoreUnavailable
from deployer.core.model import Replica, Status
from deployer.core.rollout.readiness import Reading
from deployer.deployment.rollout.startup_times import StartupTimes
from testing.compose_models import application, replica
from testing.receiver.in_memory_target import MemoryWatch
from tests.deployment.test_deploy import FastClock, Scene


def _named(replicas: list[Replica]) -> list[str]:
    return [one.service for one in replicas]


def _started_two_seconds_ago(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every replica that is looked at."""
    read: Callable[..., Reading] = scene.target.read

    def read_started(*arguments: object) -> Reading:
        found = read(*arguments)
        return Reading(found.state, found.health, answer=found.answer, started=scene.clock.now() - 2.0)

    monkeypatch.setattr(scene.target, "read", read_started)


def test_the_slowest_of_the_last_time_starts_first(tmp_path: Path) -> None:
    scene, clock, app = Scene(tmp_path), FastClock(), application("aa")
    deployment = scene.deploy("aa")
    replicas = [replica(app, name) for name in ("backend", "frontend")]
    first = StartupTimes(deployment, scene.store.startup_durations, clock)
    assert _named(first.slowest_first(replicas)) == ["backend", "frontend"]
    first.note("backend", clock.now() - 0.5)
    first.note("frontend", clock.now() - 3.0)
    first.note("database", 0.0)  # the target does not say
    first.keep()
    later = StartupTimes(deployment, scene.store.startup_durations, clock)
    assert _named(later.slowest_first(replicas)) == ["frontend", "backend"]
    later.keep()  # nothing started: what is known stays
    assert scene.store.startup_durations.read("shop", "production") == {"backend": 0.5, "frontend": 3.0}
    scene.store.close()


def test_a_deploy_remembers_what_its_services_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    _started_two_seconds_ago(scene, monkeypatch)
    scene.deploy("aa")
    assert scene.store.startup_durations.read("shop", "production")["backend"] == pytest.approx(2.0)
    scene.store.close()


def test_a_database_that_cannot_be_read_costs_the_order_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, app = Scene(tmp_path), application("aa")
    startup_times = StartupTimes(scene.deploy("aa"), scene.store.startup_durations, FastClock())

    def fail(*_: object) -> dict[str, float]:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(scene.store.startup_durations, "read", fail)
    assert _named(startup_times.slowest_first([replica(app, "backend")])) == ["backend"]
    scene.store.close()


def test_a_database_that_cannot_be_written_costs_the_order_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)

    def fail(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    _started_two_seconds_ago(scene, monkeypatch)
    monkeypatch.setattr(scene.store.startup_durations, "note", fail)
    stopped: list[str] = []
    watch = scene.target.watch

    def watch_end(endpoints: object) -> MemoryWatch:
        made: MemoryWatch = watch(endpoints)  # type: ignore[arg-type]
        monkeypatch.setattr(made, "stop", lambda: stopped.append("watch"))
        return made

    monkeypatch.setattr(scene.target, "watch", watch_end)
    assert scene.deploy("aa").status is Status.SUCCESS
    assert stopped == ["watch"], "nobody asks on and on"
    scene.store.close()
