"""Choice of the steps. In: the desired application and the observed state. Out: a plan. Never touches
anything.

New before old: every level is created, started and gated before the edge switches, and only then the old
replicas drain, stop and go. There are two exceptions, each with its cause in the plan. The old replica of a
stop-first service rests right before the new one starts, and is started again when that one fails. An old
replica that holds a host port which another service now needs retires; a replica that stays is never retired
for another service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from deployer.core.compose.volumes import tell_mounts
from deployer.core.host_ports import HostPort, is_free
from deployer.core.model import ContainerState, Health, ObservedState, Replica
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.plan import Plan, Step, Verb

_FIRST, _LAST = -1, 10_000  # before every level, and after everything that stays
_UP = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)
_STARTABLE = (ContainerState.EXITED, ContainerState.CREATED)


@dataclass(frozen=True)
class _Change:
    """Difference between the desired and the observed state of one service."""

    service: Service
    kept: tuple[Replica, ...]  # running with the right spec, or a finished task
    old: tuple[Replica, ...]
    leftovers: tuple[Replica, ...]  # leftovers that do not run
    finished: tuple[Replica, ...]  # a task's finished containers of the previous release, kept as long as it
    stopped: tuple[Replica, ...]  # right spec, and stopped for a newer release that failed
    missing: int
    cause: str
    later_batches: tuple[Replica, ...] = ()  # old ones that serve on until a later batch

    @property
    def heirlooms(self) -> tuple[Replica, ...]:
        """Replicas that hand their nameless volumes on, each to one new replica; running ones come first."""
        taken = {name for replica in (*self.kept, *self.stopped) for name in replica.volumes.values()}
        found: list[Replica] = []
        for replica in (*self.old, *self.leftovers):
            names = set(replica.volumes.values())
            if names and not names & taken:
                found.append(replica)
                taken |= names
        return () if self.service.completes else tuple(found[: self.missing])

    @property
    def unproven(self) -> tuple[Replica, ...]:
        """Replicas with the right spec that run but do not serve: they must pass the gate."""
        return tuple(replica for replica in self.kept if replica.running and not replica.serving)


def plan_rollout(application: DesiredState, observed: ObservedState, *, tasks: bool = True) -> Plan:
    """Returns the plan; the same inputs always give the same one. Without `tasks` no one-shot task runs: at a
    rollback the data belongs to the newer release already.
    """
    changes = [_compare(service, observed.of(service.name), tasks) for service in application.services]
    known = {service.name for service in application.services}
    gone = tuple(replica for replica in observed.replicas if replica.service not in known)
    changes = [change for change in changes if not _is_edge_as_before(change, changes)]
    held = _held_ports(changes, observed)
    if held and any(change.service.name == EDGE and change.missing for change in changes):
        changes = _edge_last(changes)
    retired = {replica for replicas in held.values() for replica in replicas}
    steps = [
        *(step for change in changes for step in _clear(change)),
        *(step for change in changes for step in _arrive(change, held.get(change.service.name, ()), retired)),
        *(step for change in changes for step in _switch(change, changes)),
        *(step for change in changes for step in _leave(change, retired)),
        *_depart([replica for replica in gone if replica not in retired]),
    ]
    later_batches = frozenset(replica.id for change in changes for replica in change.later_batches)
    idle = tuple(change.service.name for change in changes if not tasks and _is_idle(change))
    return Plan(application.project, tuple(sorted(steps, key=_place)), idle, later_batches=later_batches)


def _is_idle(change: _Change) -> bool:
    return change.service.completes and len(change.kept) < change.service.replicas


def _is_edge_as_before(change: _Change, changes: Sequence[_Change]) -> bool:
    """True if an earlier deployer made the edge, with fewer ports or names, and nothing else changes. Such an
    edge is replaced with the next change, as replacing it costs requests.
    """
    alike = "".join(replica.spec for replica in change.old) in change.service.earlier
    others = [one for one in changes if one.service.name != EDGE]
    quiet = not any(one.missing or one.stopped or one.old or one.unproven for one in others)
    return change.service.name == EDGE and alike and quiet and any(one.kept for one in others)


def predecessors(service: Service, observed: ObservedState) -> tuple[Replica, ...]:
    """Returns the replicas that hand their nameless volumes on to the service's new ones, in the same
    order.
    """
    return _compare(service, observed.of(service.name), True).heirlooms


def is_reconciled(application: DesiredState, observed: ObservedState) -> bool:
    """True if the project contains no foreign container and no desired replica is missing. Health is not
    considered.
    """
    return all(replica.spec for replica in observed.replicas) and not lacking(application, observed)


def lacking(application: DesiredState, observed: ObservedState) -> list[str]:
    """Returns the services with fewer running replicas than desired."""
    right = [(one.service, one.spec) for one in observed.replicas if one.state in _UP]
    return [
        service.name
        for service in application.services
        if not service.completes and right.count((service.name, service.spec)) < service.replicas
    ]


def plan_routes(application: DesiredState, observed: ObservedState) -> dict[Service, list[Replica]]:
    """Returns the services with routes to change, and the replicas that should receive traffic: running and
    not unhealthy. Without such a replica the routes stay, as an unhealthy replica may still answer. If no
    replica of the release runs, containers that were started by hand serve. The caller must check that they
    answer.
    """
    wanted: dict[Service, list[Replica]] = {}
    for service in application.services:
        mine = [replica for replica in observed.of(service.name) if replica.running]
        mine = [replica for replica in mine if replica.spec == service.spec] or mine
        fit = [replica for replica in mine if replica.health is not Health.UNHEALTHY][: service.replicas]
        served = [replica for replica in mine if replica.serving]
        if service.routes and fit and {one.id for one in fit} != {one.id for one in served}:
            wanted[service] = fit
    return wanted


def _compare(service: Service, replicas: Sequence[Replica], tasks: bool) -> _Change:
    right = [replica for replica in replicas if _fits(service, replica)]
    right.sort(key=lambda replica: not replica.serving)
    kept = tuple(right[: service.replicas])
    stopped = tuple(
        replica
        for replica in replicas
        if not service.start_first and not service.completes and _is_stopped(service, replica)
    )[: service.replicas - len(kept)]
    rest = tuple(replica for replica in replicas if replica not in (*kept, *stopped))
    missing = service.replicas - len(kept) - len(stopped) if tasks or not service.completes else 0
    old = tuple(replica for replica in rest if replica.state in _UP)
    turn = service.pace.share(missing)
    later_batches = _staying(service, old, service.replicas - len(kept) - len(stopped) - turn)
    old = tuple(replica for replica in old if replica not in later_batches)
    finished = tuple(replica for replica in rest if service.completes and _is_done(replica))
    return _Change(
        service=service,
        kept=kept,
        old=old,
        leftovers=tuple(replica for replica in rest if replica not in (*old, *finished, *later_batches)),
        finished=finished,
        stopped=stopped,
        missing=turn if later_batches else missing,
        cause=_cause(service, replicas) + (f", {turn} of {missing} now" if later_batches else ""),
        later_batches=later_batches,
    )


def _staying(service: Service, old: Sequence[Replica], room: int) -> tuple[Replica, ...]:
    """Returns the old replicas that serve on, as their replacements come in a later batch."""
    return () if service.completes else tuple(replica for replica in old if replica.serving)[:room]


def _fits(service: Service, replica: Replica) -> bool:
    if replica.spec != service.spec or replica.restarts or replica.health is Health.UNHEALTHY:
        return False
    return _is_done(replica) if service.completes else replica.running


def _is_stopped(service: Service, replica: Replica) -> bool:
    return replica.spec == service.spec and replica.state in _STARTABLE


def _is_done(replica: Replica) -> bool:
    return replica.state is ContainerState.EXITED and replica.exit_code == 0


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
    unfit = newest.health is Health.UNHEALTHY or newest.restarts
    return "replica is unhealthy" if unfit else "too few replicas"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "by tag"


def _held_ports(changes: Sequence[_Change], observed: ObservedState) -> dict[str, tuple[Replica, ...]]:
    """Returns service → leaving replicas of other services that hold a host port its new replicas need."""
    later_batches = {
        one.id for change in changes for one in (*change.kept, *change.stopped, *change.later_batches)
    }
    leaving = [
        one for one in observed.replicas if one.state in _UP and one.id not in later_batches and one.ports
    ]
    held: dict[str, tuple[Replica, ...]] = {}
    for change in changes:
        coming = change.missing + len(change.stopped)
        others = [replica for replica in leaving if replica.service != change.service.name]
        taken = [port for replica in observed.replicas if replica.state in _UP for port in replica.ports]
        needed = [port for port in change.service.publishes if coming and not is_free(port, taken, coming)]
        held[change.service.name] = tuple(one for one in others if _holds_any(one, needed))
    return {name: replicas for name, replicas in held.items() if replicas}


def _holds_any(replica: Replica, needed: Sequence[HostPort]) -> bool:
    return any(port.meets(wanted) for port in replica.ports for wanted in needed)


def _edge_last(changes: Sequence[_Change]) -> list[_Change]:
    """Moves an edge that takes over ports in use behind all other services: so the ports are without a holder
    for its own start only.
    """
    last = max(change.service.level for change in changes) + 1
    moved = [
        replace(change, service=replace(change.service, level=last))
        if change.service.name == EDGE
        else change
        for change in changes
    ]
    return sorted(moved, key=lambda change: change.service.level)


def _clear(change: _Change) -> Iterator[Step]:
    leftovers = tuple(replica for replica in change.leftovers if replica not in change.heirlooms)
    if leftovers:
        yield _step(change, Verb.REMOVE, "left over, not running", leftovers, level=_FIRST)


def _arrive(change: _Change, holders: tuple[Replica, ...], retired: set[Replica]) -> Iterator[Step]:
    level = change.service.level
    for replica in holders:
        cause = f"its host port moves to {change.service.name}"
        yield Step(Verb.RETIRE, replica.service, level, cause, (replica,))
    old = tuple(replica for replica in change.old if replica not in retired)
    if change.missing:
        paths = {path for replica in change.heirlooms for path in replica.volumes}
        told = tell_mounts(paths, change.service.nameless, change.service.written)
        yield _step(change, Verb.CREATE, change.cause + told, count=change.missing)
    if old and not change.service.start_first:
        if change.missing and not change.service.completes and change.service.image:
            alone = "a copy without network, ports, name and data must start"
            yield _step(change, Verb.PREFLIGHT, alone, old, level=_FIRST)
        away = f"stop-first: {change.service.order.cause}; away until the new one is ready"
        yield _step(change, Verb.REST, away if change.missing else "superseded", old)
    coming = change.missing + len(change.stopped)
    if coming:
        yield _step(change, Verb.START, change.cause, change.stopped, count=coming)
    if coming or change.unproven:
        limit = f"must be ready within {change.service.gate_seconds:.0f} s"
        yield _step(change, Verb.GATE, limit, count=coming + len(change.unproven))


def _switch(change: _Change, changes: Sequence[_Change]) -> Iterator[Step]:
    coming = change.missing or change.stopped or change.unproven
    if (change.service.hands_over_ports and coming) or any(replica.parked for replica in change.unproven):
        ports = ", ".join(map(str, change.service.publishes))
        gap = "; nobody answers for 0.2 to 0.4 s" if change.old else ""
        yield _step(change, Verb.SWITCH, f"takes over {ports} and the networks{gap}")
    elif change.service.routes and (coming or change.old):
        edge = max((other.service.level for other in changes if other.service.name == EDGE), default=0)
        count = change.service.replicas
        text = f"edge → {count} replica{'s'[: count != 1]}"
        yield _step(change, Verb.SWITCH, text, level=max(change.service.level, edge))


def _leave(change: _Change, retired: set[Replica]) -> Iterator[Step]:
    old = tuple(replica for replica in change.old if replica not in retired)
    if old and change.service.start_first:
        yield from _retire_gently(change, old)
    elif old:
        yield _step(change, Verb.REMOVE, "superseded", old)
    finished = (
        *change.finished,
        *(replica for replica in change.heirlooms if replica in change.leftovers),
    )
    if finished:
        yield _step(change, Verb.REMOVE, "superseded", finished)


def _retire_gently(change: _Change, old: tuple[Replica, ...]) -> Iterator[Step]:
    served = tuple(replica for replica in old if replica.serving)
    if served and change.service.routes:
        limit = f"requests may end, at most {change.service.drain_seconds:.0f} s"
        yield _step(change, Verb.DRAIN, limit, served)
    if served and change.service.notice_seconds:
        notice = f"the proxy in front finds the new one, {change.service.notice_seconds:.0f} s"
        yield _step(change, Verb.DRAIN, notice, served)
    ending = tuple(replica for replica in old if replica.serving or (replica.parked and replica.running))
    if ending:
        yield _step(change, Verb.STOP, "superseded", ending)
    yield _step(change, Verb.REMOVE, "superseded" if ending else "never served", old)


def _depart(gone: Sequence[Replica]) -> Iterator[Step]:
    for name in sorted({replica.service for replica in gone}):
        replicas = tuple(replica for replica in gone if replica.service == name)
        running = tuple(replica for replica in replicas if replica.serving and replica.running)
        if running:
            yield Step(Verb.STOP, name, _LAST, "not in this release", running)
        yield Step(Verb.REMOVE, name, _LAST, "not in this release", replicas)


def _step(
    change: _Change,
    verb: Verb,
    cause: str,
    replicas: tuple[Replica, ...] = (),
    count: int = 0,
    level: int | None = None,
) -> Step:
    place = change.service.level if level is None else level
    return Step(verb, change.service.name, place, cause, replicas, count)


def _place(step: Step) -> tuple[int, int]:
    """Returns a step's sort key: arriving replicas by level, then the switch, then the departing ones.
    Sorting is stable.
    """
    if step.level == _FIRST:
        return (0, 0)
    arriving = step.verb in (Verb.RETIRE, Verb.CREATE, Verb.REST, Verb.START, Verb.GATE)
    return (1, step.level) if arriving else (2, int(step.verb != Verb.SWITCH))
