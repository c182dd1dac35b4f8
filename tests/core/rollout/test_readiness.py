from __future__ import annotations

import dataclasses

import pytest

from deployer.core.model import ContainerState, Health
from deployer.core.rollout.desired_state import Service
from deployer.core.rollout.readiness import Readiness, Reading, judge_gate, pause_after
from testing.compose_models import application

NOTHING = Reading(ContainerState.CREATED, Health.NONE)
OK = Reading(ContainerState.RUNNING, Health.STARTING, answer="ok")


def backend(**changes: object) -> Service:
    service = application().service("backend")
    assert service
    return dataclasses.replace(service, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "waited", "verdict", "reason"),
    [
        (NOTHING, Reading(ContainerState.RUNNING, Health.STARTING), 1.0, Readiness.WAITING, ""),
        (NOTHING, OK, 1.0, Readiness.WAITING, ""),
        (OK, OK, 1.0, Readiness.READY, "ready after 1.0 s"),
        (NOTHING, Reading(ContainerState.RUNNING, Health.HEALTHY), 0.5, Readiness.READY, "ready after 0.5 s"),
        (OK, Reading(ContainerState.RUNNING, Health.STARTING, answer="HTTP 500"), 1.0, Readiness.WAITING, ""),
        (
            OK,
            Reading(ContainerState.EXITED, Health.NONE, exit_code=1),
            0.4,
            Readiness.FAILED,
            "exited with code 1 after 0.4 s",
        ),
        (
            OK,
            Reading(ContainerState.RUNNING, Health.HEALTHY, restarts=1, exit_code=3),
            2,
            Readiness.FAILED,
            "exited with code 3 after 2.0 s",
        ),
        (OK, Reading(ContainerState.PAUSED, Health.HEALTHY), 2, Readiness.FAILED, "was paused"),
        (
            OK,
            Reading(ContainerState.REMOVED, Health.NONE),
            2,
            Readiness.FAILED,
            "was removed by somebody else",
        ),
        (
            NOTHING,
            Reading(ContainerState.RUNNING, Health.UNHEALTHY, answer="HTTP 500"),
            9,
            Readiness.FAILED,
            "its health check failed; last answer: HTTP 500",
        ),
        (
            NOTHING,
            Reading(ContainerState.RUNNING, Health.UNHEALTHY),
            9,
            Readiness.FAILED,
            "its health check failed",
        ),
        (
            NOTHING,
            Reading(ContainerState.CREATED, Health.NONE),
            33,
            Readiness.FAILED,
            "not ready within 32 s",
        ),
        (OK, Reading(ContainerState.CREATED, Health.NONE, answer="ok"), 3, Readiness.WAITING, ""),
        (NOTHING, OK, 33, Readiness.FAILED, "not ready within 32 s"),
    ],
)
def test_a_server_is_judged_by_its_check_and_its_answers(
    before: Reading, now: Reading, waited: float, verdict: Readiness, reason: str
) -> None:
    judgement = judge_gate(backend(), (before, now), waited)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)


@pytest.mark.case("H04")
@pytest.mark.parametrize("health", [Health.STARTING, Health.HEALTHY, Health.NONE])
def test_an_open_port_is_ready_only_where_the_engine_checks_nothing(health: Health) -> None:
    open_port = Reading(ContainerState.RUNNING, health, answer="ok")
    server = backend(probe=None, checked=False)
    expected = Readiness.WAITING if health is Health.STARTING else Readiness.READY
    assert judge_gate(server, (open_port, open_port), 1.0).verdict is expected


@pytest.mark.case("H04")
def test_the_edges_own_answer_counts_whatever_its_image_checks() -> None:
    edge = application().service("deployer-edge")
    assert edge
    answered = Reading(ContainerState.RUNNING, Health.STARTING, answer="ok")
    assert judge_gate(edge, (answered, answered), 1.0).verdict is Readiness.READY


def test_what_nobody_can_ask_must_stay_up() -> None:
    worker = backend(checked=False, probe=None, routes=())
    up = Reading(ContainerState.RUNNING, Health.NONE)
    assert judge_gate(worker, (up, up), 1.9).verdict is Readiness.WAITING
    assert judge_gate(worker, (up, up), 2.0).verdict is Readiness.READY


def test_a_check_that_cannot_be_asked_from_outside_is_waited_for() -> None:
    up = Reading(ContainerState.RUNNING, Health.STARTING)
    assert judge_gate(backend(probe=None), (up, up), 5.0).verdict is Readiness.WAITING


@pytest.mark.parametrize(
    ("now", "waited", "verdict", "reason"),
    [
        (Reading(ContainerState.RUNNING, Health.NONE), 5, Readiness.WAITING, ""),
        (Reading(ContainerState.EXITED, Health.NONE), 5, Readiness.READY, "completed in 5.0 s"),
        (
            Reading(ContainerState.EXITED, Health.NONE, exit_code=2),
            5,
            Readiness.FAILED,
            "ended with code 2 after 5.0 s",
        ),
        (Reading(ContainerState.RUNNING, Health.NONE), 40, Readiness.FAILED, "not done within 32 s"),
    ],
)
def test_a_task_is_judged_by_its_end(now: Reading, waited: float, verdict: Readiness, reason: str) -> None:
    judgement = judge_gate(backend(completes=True), (NOTHING, now), waited)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)


def test_edge_e3_a_replica_that_refuses_is_asked_twice_a_second_at_last() -> None:
    assert [pause_after(refusals) for refusals in (0, 1, 2, 5, 9999)] == [0.0, 0.05, 0.1, 0.5, 0.5]
    asked = 0.0
    for refusals in range(1, 40):
        asked += pause_after(refusals)
    assert asked > 16, "the 637 requests of a start-up of 16 s become 40"


def test_a_crash_that_docker_restarts_is_not_told_as_a_success() -> None:
    now = Reading(ContainerState.RUNNING, Health.NONE, restarts=1)
    found = judge_gate(backend(), (now, now), 1.04)
    assert (
        found.verdict is Readiness.FAILED and found.reason == "ended, and Docker restarted it, within 1.0 s"
    )
