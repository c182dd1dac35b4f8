"""The live story of a deployment. In: where it is told. Out: its lines, printed as they come, and its end.

A stream that breaks is taken up after the last line that arrived; a server without room for a stream is asked
every two seconds instead.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.ci import workflow
from deployer.ci.client import ServerUnavailable, call, open_stream
from deployer.ci.sse import read_messages
from deployer.core.errors import DeployerError, TokenRejected
from deployer.core.model import Status

_SILENCE = 45.0  # seconds without a byte, after which a stream counts as broken
_POLL = 2.0
_LONGEST_PAUSE = 10.0
_FINAL = frozenset(status for status in Status if status.final)


class DeploymentUnfinished(DeployerError):
    """The deadline came before the deployment's end; the deployment goes on."""

    code = "deployment-unfinished"


@dataclass(frozen=True)
class Followed:
    """One deployment: the address to poll, the stream, the token for both, the address for people."""

    status_url: str
    events_url: str
    token: str = field(repr=False)
    page: str


@dataclass(frozen=True)
class End:
    """How it ended, in GitHub's status words."""

    status: str
    reason: str


@dataclass
class _Story:
    """What has been told so far."""

    last: int = 0
    began: float | None = None
    polling: bool = False

    def tell(self, event: Mapping[str, Any]) -> None:
        """Prints an event once, with the seconds since the first one."""
        n, at = event.get("n"), event.get("at")
        if not isinstance(n, int) or n <= self.last:
            return
        self.last = n
        seconds = float(at) if isinstance(at, int | float) else 0.0
        self.began = seconds if self.began is None else self.began
        workflow.say(f"{seconds - self.began:7.1f} s  {event.get('kind', '')}  {event.get('text', '')}")


def follow(followed: Followed, until: float) -> End:
    """Reads to the end, or to the monotonic time `until`. Raises DeploymentUnfinished, TokenRejected."""
    story, failures = _Story(), 0
    while (left := until - time.monotonic()) > 0:
        told = story.last
        try:
            look = _poll if story.polling else _listen
            end = look(followed, story, until)
        except ServerUnavailable as error:
            end = None
            workflow.say(f"          {error}; looking again")
        if end is not None:
            return end
        if story.polling and look is _listen:
            continue
        failures = 0 if story.last > told else failures + 1
        pause = _POLL if story.polling else min(_LONGEST_PAUSE, 0.5 * 2**failures)
        time.sleep(max(0.0, min(pause, left)))
    raise DeploymentUnfinished(
        "the deployment has not ended within the timeout; it goes on at the server",
        hint=f"see {followed.page}; the input timeout sets how long this step waits",
    )


def _listen(followed: Followed, story: _Story, until: float) -> End | None:
    headers = {**_headers(followed), "Accept": "text/event-stream"}
    if story.last:
        headers["Last-Event-ID"] = str(story.last)
    wait = max(0.1, min(_SILENCE, until - time.monotonic()))
    with open_stream("GET", followed.events_url, headers=headers, timeout=wait) as response:
        status = response.status or 0
        story.polling = status == 503
        _check(status, followed.events_url)
        return _read(_lines(response, until), story) if status == 200 else None


def _read(lines: Iterable[bytes], story: _Story) -> End | None:
    for message in read_messages(lines):
        table = message.table()
        if message.kind == "end":
            return End(str(table.get("status", "")), str(table.get("reason", "")))
        story.tell({"kind": message.kind, **table})
    return None


def _lines(response: Iterable[bytes], until: float) -> Iterator[bytes]:
    """A stream's lines until it breaks, however it does."""
    try:
        for line in response:
            yield line
            if time.monotonic() >= until:
                return
    except (OSError, http.client.HTTPException, ValueError):
        return


def _poll(followed: Followed, story: _Story, _until: float) -> End | None:
    answer = call("GET", f"{followed.status_url}?after={story.last}", headers=_headers(followed))
    _check(answer.status, followed.status_url)
    table = answer.table()
    for event in table.get("events") or ():
        story.tell(event)
    if answer.status == 200 and table.get("status") in _FINAL:
        return End(str(table["status"]), str(table.get("reason", "")))
    return None


def _headers(followed: Followed) -> dict[str, str]:
    return {"Authorization": f"Bearer {followed.token}"}


def _check(status: int, url: str) -> None:
    if 400 <= status < 500 and status != 429:
        raise TokenRejected(f"the server answers {status} for {url}", hint="the deployment itself goes on")
