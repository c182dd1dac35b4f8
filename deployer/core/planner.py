"""Choosing the steps. In: the application that should run and what was observed. Out: a plan. Never touches
anything.

New before old: every level is created, started and gated before the edge switches, and only then the old
replicas drain, stop and go. A stop-first service is the exception: its old replica retires right before the
new one starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployer.core.application import Application, Service
from deployer.core.errors import ComposeRejected
from deployer.core.model import ObservedState, Replica
from deployer.core.plan import CREATE, DRAIN, GATE, REMOVE, RETIRE, START, STOP, SWITCH, Plan, Step

_LAST = 10_000  # the level of services that leave: after everything that stays


@dataclass(frozen=True)
class _Change:
    """One service's difference between wish and observation."""

    service: Service
    kept: tuple[Replica, ...]  # right and running (or a finished task)
    unproven: tuple[Replica, ...]  # right and running, but not serving: must pass the gate
    old: tuple[Replica, ...]
    stray: tuple[Replica, ...]  # not running: leftovers
    missing: int
    cause: str


def plan_rollout(application: Application, observed: ObservedState) -> Plan:
    """The same inputs always give the same plan."""
    changes = [_compare(service, observed.of(service.name)) for service in application.services]
    known = {service.name for service in application.services}
    gone = tuple(replica for replica in observed.replicas if replica.service not in known)
    steps = [
        *(step for change in changes for step in _clear(change)),
        *(step for change in changes for step in _arrive(change)),
        *(step for change in changes for step in _switch(change)),
        *(step for change in changes for step in _leave(change)),
        *_depart(gone),
    ]
    return Plan(application.project, tuple(steps))


def _compare(service: Service, replicas: Sequence[Replica]) -> _Change:
    right = [replica for replica in replicas if _fits(service, replica)]
    right.sort(key=lambda replica: not replica.serving)
    kept = tuple(right[: service.replicas])
    rest = tuple(replica for replica in replicas if replica not in kept)
    old = tuple(replica for replica in rest if replica.state in ("running", "restarting", "paused"))
    return _Change(
        service=service,
        kept=kept,
        unproven=tuple(replica for replica in kept if replica.running and not replica.serving),
        old=old,
        stray=tuple(replica for replica in rest if replica not in old),
        missing=service.replicas - len(kept),
        cause=_cause(service, replicas),
    )


def _fits(service: Service, replica: Replica) -> bool:
    if replica.spec != service.spec or replica.restarts or replica.health == "unhealthy":
        return False
    done = replica.state == "exited" and replica.exit_code == 0
    return done if service.completes else replica.running


def _cause(service: Service, replicas: Sequence[Replica]) -> str:
    if not replicas:
        return "no replica yet"
    newest = replicas[-1]
    if newest.spec != service.spec and service.image and newest.digest != service.image.digest:
        return f"image {_short(newest.digest)} → {service.image.short}"
    if newest.spec != service.spec:
        return "configuration changed"
    if not newest.running:
        return f"replica is {newest.state}"
    return "replica is unhealthy" if newest.health == "unhealthy" or newest.restarts else "too few replicas"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "by tag"


def _clear(change: _Change) -> Iterator[Step]:
    if change.stray:
        yield _step(change, REMOVE, "left over, not running", change.stray, level=-1)


def _arrive(change: _Change) -> Iterator[Step]:
    if change.old and not change.service.start_first:
        yield _step(change, RETIRE, f"stop-first: {change.service.order.cause}", change.old)
    if change.missing:
        yield _step(change, CREATE, change.cause, count=change.missing)
        yield _step(change, START, change.cause, count=change.missing)
    if change.missing or change.unproven:
        count = change.missing + len(change.unproven)
        yield _step(change, GATE, f"must be ready within {change.service.gate_seconds:.0f} s", count=count)


def _switch(change: _Change) -> Iterator[Step]:
    if change.service.routes and (change.missing or change.unproven or change.old):
        count = change.service.replicas
        yield Step(
            SWITCH, change.service.name, change.service.level, f"edge → {count} replica{'s'[: count > 1]}"
        )


def _leave(change: _Change) -> Iterator[Step]:
    if change.old and change.service.start_first:
        yield from _retire_gently(change)


def _retire_gently(change: _Change) -> Iterator[Step]:
    served = tuple(replica for replica in change.old if replica.serving)
    if served and change.service.routes:
        yield _step(change, DRAIN, f"requests may end, at most {change.service.drain_seconds:.0f} s", served)
    if served:
        yield _step(change, STOP, "superseded", served)
    yield _step(change, REMOVE, "superseded" if served else "never served", change.old)


def _depart(gone: Sequence[Replica]) -> Iterator[Step]:
    for name in sorted({replica.service for replica in gone}):
        replicas = tuple(replica for replica in gone if replica.service == name)
        running = tuple(replica for replica in replicas if replica.serving and replica.running)
        if running:
            yield Step(STOP, name, _LAST, "not in this release", running)
        yield Step(REMOVE, name, _LAST, "not in this release", replicas)


def _step(
    change: _Change,
    verb: str,
    cause: str,
    replicas: tuple[Replica, ...] = (),
    count: int = 0,
    level: int | None = None,
) -> Step:
    place = change.service.level if level is None else level
    return Step(verb, change.service.name, place, cause, replicas, count)


def refuse_foreign(project: str, observed: ObservedState) -> None:
    """Raises ComposeRejected while the project runs containers that were started by hand: their ports are
    taken.
    """
    names = [replica.name for replica in observed.replicas if replica.running and not replica.spec]
    if names:
        raise ComposeRejected(
            f"project {project} already runs {', '.join(names)}, which this deployer did not start",
            hint=f"stop them once with `docker compose -p {project} down`, then deploy again",
        )
