"""Check of the public address, as users reach it. In: an address, a revision. Out: the release's visibility
there, and the reason.

Only reads, with no secret of the run, and follows redirects as a browser would; never to anything but HTTP.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from deployer.ci.github import workflow_commands
from deployer.ci.server.verify_inputs import Outside
from deployer.core.build.release_check import Seen, Sight, judge_served
from deployer.io.http_client import is_loopback, read_whole

_PAUSE = 0.5
_ENOUGH = 3  # answers in a row, if the answers do not name their release
_TIMEOUT = 10.0
_MAX_BODY = 1_000_000


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
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", None) or str(error) or type(error).__name__
        return Seen(Sight.WRONG, f"it does not answer: {cause}"[:300])
    return judge_served(status, text, revision=revision, previous=previous, demand=place.demand)


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise ValueError(f"it redirects to {urlsplit(newurl).scheme!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str) -> tuple[int, str]:
    """Returns the status, and headers and body as one text."""
    headers = {"User-Agent": "deployer", "Accept": "*/*", "Cache-Control": "no-cache"}
    proxies = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).netloc) else []
    opener = urllib.request.build_opener(_HttpOnly, *proxies)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        named = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        body = read_whole(answer, _MAX_BODY, time.monotonic() + _TIMEOUT)
        return answer.status or 0, named + body.decode("utf-8", "replace")
