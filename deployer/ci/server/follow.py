"""Live events of a deployment. In: its addresses. Out: its lines, printed on arrival, and its result.

A broken stream resumes after the last line that arrived; a server without room for a stream is polled every
two seconds instead. The caller's function checks the public address when the server waits for a confirmation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.ci.github import workflow_commands
from deployer.ci.server.event_log import Story
from deployer.ci.server.sse import read_messages
from deployer.core.errors import DeployerError, TokenRejected
from deployer.core.model import EventKind, Status
from deployer.io.http_client import Response, ServerUnavailable, call, open_stream

_SILENCE = 45.0  # seconds without a byte, after which a stream counts as broken
_POLL = 2.0
_LONGEST_LINE = 2_000_000
_LONGEST_PAUSE = 10.0
_FINAL = frozenset(status for status in Status if status.final)


class DeploymentUnfinished(DeployerError):
    """The deadline came before the deployment's end; the deployment goes on."""

    code = "deployment-unfinished"


@dataclass(frozen=True)
class Followed:
    """A deployment's addresses: for polling, for the stream, for people (`page`), and the token for the first
    two.
    """

    status_url: str
    events_url: str
    token: str = field(repr=False)
    page: str


@dataclass(frozen=True)
class End:
    """Result of a deployment, in GitHub's status words, with the server's hint; `record` holds the other
    fields of the server's answer.
    """

    status: str
    reason: str
    hint: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, hash=False)
    blank: str = ""  # the server's notice about variables without a value


@dataclass
class _Reader:
    """State of reading one deployment's events. `confirm` is called when the server waits for a
    confirmation.
    """

    followed: Followed
    until: float
    confirm: Callable[[], None]
    story: Story
    polling: bool = False
    failed: bool = False
    hint: str = ""

    def take(self, event: Mapping[str, Any]) -> None:
        """Prints an event and starts the confirmation; an event repeated after a broken stream
        has no effect.
        """
        if self.story.tell(event):
            self._keep_hint(event)
            if event.get("kind") == EventKind.CONFIRM:
                self.confirm()

    def _keep_hint(self, event: Mapping[str, Any]) -> None:
        """Keeps the hint of the failure. A hint after it belongs to the rollback and counts only where the
        failure has none.
        """
        if event.get("kind") == EventKind.FAILED:
            self.failed = True
        elif event.get("kind") == EventKind.HINT and not (self.failed and self.hint):
            self.hint = str(event.get("text", ""))


def follow(followed: Followed, until: float, confirm: Callable[[], None] = lambda: None) -> End:
    """Reads until the deployment's end, or until the monotonic time `until`. Raises DeploymentUnfinished,
    TokenRejected.
    """
    with Story() as story:
        end = _follow(_Reader(followed, until, confirm, story))
        return replace(end, blank=story.blank)


def _follow(reader: _Reader) -> End:
    failures = 0
    while (left := reader.until - time.monotonic()) > 0:
        told = reader.story.last
        look = _poll if reader.polling else _listen
        try:
            end = look(reader)
        except ServerUnavailable as error:
            end = None
            workflow_commands.say(f"          {error}; trying again")
        if end is not None:
            return end
        if reader.polling and look is _listen:
            continue
        failures = 0 if reader.story.last > told else failures + 1
        pause = _POLL if reader.polling else min(_LONGEST_PAUSE, 0.5 * 2**failures)
        time.sleep(max(0.0, min(pause, left)))
    raise DeploymentUnfinished(
        "the deployment has not ended within the timeout; it goes on at the server",
        hint=f"see {reader.followed.page}; the input timeout sets how long this step waits",
    )


def _listen(reader: _Reader) -> End | None:
    followed = reader.followed
    headers = {**_headers(followed), "Accept": "text/event-stream"}
    if reader.story.last:
        headers["Last-Event-ID"] = str(reader.story.last)
    wait = max(0.1, min(_SILENCE, reader.until - time.monotonic()))
    with open_stream("GET", followed.events_url, headers=headers, timeout=wait) as response:
        status = response.status
        reader.polling = status == 503
        _check(status, followed.events_url)
        return _read(_lines(response, reader.until), reader) if status == 200 else None


def _read(lines: Iterable[bytes], reader: _Reader) -> End | None:
    for message in read_messages(lines):
        table = message.table()
        if message.kind == EventKind.END:
            return _end(table, reader)
        reader.take({"kind": message.kind, **table})
    return None


def _end(table: Mapping[str, Any], reader: _Reader) -> End:
    return End(str(table.get("status", "")), str(table.get("reason", "")), reader.hint, table)


def _lines(response: Response, until: float) -> Iterator[bytes]:
    """Yields a stream's lines until it breaks for any reason; a line may never end."""
    begun = b""
    try:
        while time.monotonic() < until and len(begun) < _LONGEST_LINE and (part := response.read_block()):
            *lines, begun = (begun + part).split(b"\n")
            yield from lines
    except ServerUnavailable:
        return


def _poll(reader: _Reader) -> End | None:
    followed = reader.followed
    answer = call("GET", f"{followed.status_url}?after={reader.story.last}", headers=_headers(followed))
    _check(answer.status, followed.status_url)
    table = answer.table()
    events, status = table.get("events"), table.get("status")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict):
            reader.take(event)
    return (
        _end(table, reader) if answer.status == 200 and isinstance(status, str) and status in _FINAL else None
    )


def _headers(followed: Followed) -> dict[str, str]:
    return {"Authorization": f"Bearer {followed.token}"}


def _check(status: int, url: str) -> None:
    if 400 <= status < 500 and status != 429:
        raise TokenRejected(f"the server answers {status} for {url}", hint="the deployment itself goes on")
