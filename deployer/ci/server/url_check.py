"""Check of the public address, as users reach it. In: an address, a revision. Out: the release's visibility
there, and the reason.

Only reads, with no secret of the run, and follows redirects as a browser would; never to anything but HTTP.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from deployer.ci.github import workflow_commands
from deployer.ci.server.verify_inputs import Outside
from deployer.core.build.release_check import Seen, Sight, judge_served
from deployer.io.http_client import Response, ServerUnavailable, open_stream, redirect_target

_PAUSE = 0.5
_ENOUGH = 3  # answers in a row, if the answers do not name their release
_TIMEOUT = 10.0
_MAX_BODY = 1_000_000
_MAX_MOVES = 10


def verify(place: Outside, revision: str, previous: str) -> Seen:
    """Asks the address until it shows the new release or the time is over; the last answer decides."""
    until, in_row = time.monotonic() + place.seconds, 0
    while True:
        seen = _look(place, revision, previous)
        workflow_commands.say(f"          {place.url}: {seen.reason}")
        in_row = in_row + 1 if seen.sight is Sight.ANSWERS else 0
        if seen.sight is Sight.NAMED or in_row >= _ENOUGH:
            return seen
        # A row of answers that began in time is completed.
        if not in_row and time.monotonic() + _PAUSE >= until:
            return Seen(Sight.WRONG, f"{place.url} after {place.seconds} s: {seen.reason}")
        time.sleep(_PAUSE)


def _look(place: Outside, revision: str, previous: str) -> Seen:
    try:
        status, text = _fetch(place.url)
    except ServerUnavailable as error:
        return Seen(Sight.WRONG, f"it does not answer: {error.reason}"[:300])
    except ValueError as error:
        return Seen(Sight.WRONG, f"it does not answer: {error}"[:300])
    return judge_served(status, text, revision=revision, previous=previous, demand=place.demand)


def _fetch(url: str) -> tuple[int, str]:
    """Returns the status, and headers and body as one text. Raises ServerUnavailable, and ValueError for a
    redirect to anything but HTTP.
    """
    headers = {"Accept": "*/*", "Cache-Control": "no-cache"}
    for left in range(_MAX_MOVES, -1, -1):
        with open_stream("GET", url, headers=headers, timeout=_TIMEOUT) as answer:
            if left and (where := _redirect_of(answer, url)):
                url = where
                continue
            named = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
            body = answer.read_whole(_MAX_BODY, time.monotonic() + _TIMEOUT)
            break
    return answer.status, named + body.decode("utf-8", "replace")


def _redirect_of(answer: Response, url: str) -> str:
    """Returns the redirect's address, empty for any other answer."""
    target = redirect_target(answer.status, answer.headers.get("Location"), url)
    if target and (scheme := urlsplit(target).scheme) not in ("http", "https"):
        raise ValueError(f"it redirects to {scheme!r}")
    return target
