"""Server-sent events of one deployment. In: a deployment that the caller may read. Out: a stream that ends
with the deployment.

A stream holds a thread, so streams are counted and capped, and end after some minutes; `Last-Event-ID`
resumes one without a gap. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from flask import Response

from deployer.core.errors import DeployerError, StoreUnavailable
from deployer.core.model import Deployment, Event, EventKind
from deployer.ingress.deployments import read_events
from deployer.ingress.receiver import Receiver
from deployer.web.api.responses import event_table

_HELLO = "retry: 2000\n\n"
_BEAT = ": waiting\n\n"


class TooManyStreams(DeployerError):
    """All streams are taken; the client can poll the events instead."""

    code = "too-many-streams"
    http_status = 503


@dataclass(frozen=True)
class StreamLimits:
    """Limits of the streams, in seconds except for `count`."""

    count: int = 96
    length: float = 300.0
    beat: float = 10.0  # a comment line this often; otherwise the server takes the connection for idle
    look: float = 0.25


class Streams:
    """All streams of one process."""

    KEY = "deployer.streams"

    def __init__(self, receiver: Receiver, limits: StreamLimits) -> None:
        self._receiver = receiver
        self._limits = limits
        self._free = threading.BoundedSemaphore(limits.count)
        self._over = threading.Event()
        self._seen: dict[str, tuple[float, Deployment | None, int]] = {}  # id → read at, record, last event

    def close(self) -> None:
        """Ends all streams at their next look; clients reconnect to the next server."""
        self._over.set()

    def open(self, deployment: Deployment, after: int) -> Response:
        """Opens a stream. Raises TooManyStreams."""
        if not self._free.acquire(blocking=False):
            raise TooManyStreams(
                "too many streams are open", hint="poll the deployment with ?after=N, or try again later"
            )
        answer = Response(self._tell(deployment.id, after), mimetype="text/event-stream")
        answer.headers["X-Accel-Buffering"] = "no"
        answer.call_on_close(partial(self._leave, deployment.id))
        return answer

    def _tell(self, id: str, after: int) -> Iterator[str]:
        clock, limits = self._receiver.clock, self._limits
        begun = spoke = clock.monotonic()
        yield _HELLO
        while not self._over.is_set() and clock.monotonic() - begun < limits.length:
            try:
                deployment, events = self._look(id, after)
            except StoreUnavailable:
                return
            for event in events:
                if event.kind != EventKind.END:
                    yield _frame(event_table(event))
                after, spoke = event.n, clock.monotonic()
            if deployment.status.final:
                yield _frame(_end(deployment, after))
                return
            if clock.monotonic() - spoke >= limits.beat:
                yield _BEAT
                spoke = clock.monotonic()
            clock.sleep(limits.look)

    def _look(self, id: str, after: int) -> tuple[Deployment, Sequence[Event]]:
        """Returns the record and the events after number `after`. Viewers of one deployment share a look:
        viewers with the same last event cause one database read per interval.
        """
        now = self._receiver.clock.monotonic()
        at, deployment, last = self._seen.get(id, (0.0, None, 0))
        if deployment and last == after and now - at < self._limits.look and not deployment.status.final:
            return deployment, ()
        # In this order: the final status is written together with the last event.
        deployment = self._receiver.store.deployments.get(id)
        events = read_events(self._receiver, deployment, after)
        self._seen[id] = (now, deployment, events[-1].n if events else after)
        return deployment, events

    def _leave(self, id: str) -> None:
        self._seen.pop(id, None)
        self._free.release()


def _end(deployment: Deployment, n: int) -> dict[str, object]:
    text = f"{deployment.status}: {deployment.reason}" if deployment.reason else deployment.status
    last = Event(n, deployment.ended_at or 0.0, EventKind.END, text)
    return event_table(last) | {
        "status": deployment.status,
        "reason": deployment.reason,
        "previous": deployment.previous,
        "measured": asdict(deployment.measured) if deployment.measured else None,
    }


def _frame(table: dict[str, object]) -> str:
    return f"id: {table['n']}\nevent: {table['kind']}\ndata: {json.dumps(table)}\n\n"
