"""Judgement of the gate. In: readings of a new replica. Out: ready, waiting or failed, with the reason. Never
inspects a replica.

A replica is ready when its own health check says so, or when the request that this check makes was answered
well twice in a row, whichever comes first: Docker's check runs once an interval, the deployer's
request many times a second. An open port is no such answer: while the engine waits for a check of its own,
that check alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.core.model import ContainerState, Health
from deployer.core.rollout.desired_state import EDGE, Service

ANSWERED = "ok"
REFUSED = "HTTP"  # begins an answer with a bad status, as in `HTTP 503`
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5  # seconds
RECONCILE_SECONDS = 2.0  # a replica without a check or a port must stay up this long
PRESUMED_SECONDS = 10.0  # the same for a port known from the image alone: it may be another program's


@dataclass(frozen=True)
class Reading:
    """Reading of a replica. `answer` is `ok`, an error text, or empty if there is no request to send or no
    way to send it; `started` in Unix seconds of the target's clock, 0 if unknown.
    """

    state: ContainerState
    health: Health
    exit_code: int = 0
    restarts: int = 0
    answer: str = ""
    started: float = 0.0


def pause_after(refusals: int) -> float:
    """Returns the seconds until a replica that refused its check's request so many times in a row is asked
    again. An application notes each refusal, so the pauses grow; a port that is still closed notes nothing.
    """
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(refusals - 1, 10)) if refusals else 0.0


class Readiness(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Judgement:
    verdict: Readiness
    reason: str


def judge_gate(service: Service, readings: tuple[Reading, Reading], waited: float) -> Judgement:
    """Judges a replica by its two newest readings, older first, `waited` seconds after its start."""
    before, now = readings
    if service.completes:
        return _judge_task(service, now, waited)
    if now.state is ContainerState.REMOVED:
        return Judgement(Readiness.FAILED, "was removed by somebody else")
    if now.state is ContainerState.PAUSED:
        return Judgement(Readiness.FAILED, "was paused")
    if now.restarts and not now.exit_code:  # the engine keeps the code until it has started it again
        return Judgement(Readiness.FAILED, f"ended, and Docker restarted it, within {waited:.1f} s")
    if now.state not in (ContainerState.RUNNING, ContainerState.CREATED) or now.restarts:
        return Judgement(Readiness.FAILED, f"exited with code {now.exit_code} after {waited:.1f} s")
    if now.health is Health.UNHEALTHY:
        return Judgement(Readiness.FAILED, f"its health check failed{_last(now)}")
    if _is_ready(service, before, now, waited):
        silent = service.presumed and service.asks and not now.answer
        told = "; the ports that its image names are closed, and nobody is seen to use them" if silent else ""
        return Judgement(Readiness.READY, f"ready after {waited:.1f} s{told}")
    if waited > service.gate_seconds:
        return Judgement(Readiness.FAILED, f"not ready within {service.gate_seconds:.0f} s{_last(now)}")
    return Judgement(Readiness.WAITING, "")


def _judge_task(service: Service, now: Reading, waited: float) -> Judgement:
    if now.state is ContainerState.EXITED and now.exit_code == 0:
        return Judgement(Readiness.READY, f"completed in {waited:.1f} s")
    if now.state is ContainerState.EXITED:
        return Judgement(Readiness.FAILED, f"ended with code {now.exit_code} after {waited:.1f} s")
    if waited > service.gate_seconds:
        return Judgement(Readiness.FAILED, f"not done within {service.gate_seconds:.0f} s")
    return Judgement(Readiness.WAITING, "")


def _is_ready(service: Service, before: Reading, now: Reading, waited: float) -> bool:
    if now.state is not ContainerState.RUNNING:
        return False
    decisive = service.probe or service.name == EDGE or now.health is Health.NONE
    if now.health is Health.HEALTHY or (decisive and before.answer == now.answer == ANSWERED):
        return True
    unasked = not now.answer and now.health is Health.NONE and not service.checked
    return unasked and waited >= (PRESUMED_SECONDS if service.presumed else RECONCILE_SECONDS)


def _last(now: Reading) -> str:
    return f"; last answer: {now.answer}" if now.answer and now.answer != ANSWERED else ""
