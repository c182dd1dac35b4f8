"""The new release as users reach it. In: the input `verify-url`, a revision. Out: whether it serves, and why
not.

Only looks, with no secret of the run, and follows redirects as a browser would; never to anything but HTTP.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deployer.ci import workflow
from deployer.ci.context import input_text, is_loopback
from deployer.core.errors import ConfigError
from deployer.core.served import Demand, Seen, Sight, judge_served

_MOST = 500  # seconds; the server waits for a verdict no longer than ten minutes
_MARGIN = 30  # seconds the server waits longer than the runner looks
_PAUSE = 0.5
_ENOUGH = 3  # answers in a row, where an answer does not say which release gave it
_TIMEOUT = 10.0
_MAX_BODY = 1_000_000


@dataclass(frozen=True)
class Outside:
    """Where to look, for how many seconds, and whether the revision must be named; `url` empty: nowhere."""

    url: str
    seconds: int
    demand: Demand

    @property
    def confirm(self) -> int:
        """Seconds that the server is asked to wait for the verdict; 0 where nobody looks."""
        return self.seconds + _MARGIN if self.url else 0


def outside() -> Outside:
    """The inputs `verify-…`. Raises ConfigError."""
    url, parts = input_text("verify-url"), urlsplit(input_text("verify-url"))
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise ConfigError(
            "verify-url", f"{url!r} should be an address such as https://shop.example.com/health"
        )
    seconds = input_text("verify-timeout") or "60"
    if not (seconds.isascii() and seconds.isdigit() and 0 < int(seconds) <= _MOST):
        raise ConfigError(
            "verify-timeout", f"{seconds!r} should be a whole number of seconds from 1 to {_MOST}"
        )
    demand = input_text("verify-revision") or Demand.AUTO
    if demand not in tuple(Demand):
        raise ConfigError("verify-revision", f"{demand!r} should be auto, true or false")
    return Outside(url, int(seconds), Demand(demand))


def verify(place: Outside, revision: str, previous: str) -> Seen:
    """Looks until the new release is seen, or the time is over; the last look decides."""
    until, in_row = time.monotonic() + place.seconds, 0
    while True:
        seen = _look(place, revision, previous)
        workflow.say(f"          {place.url}: {seen.reason}")
        in_row = in_row + 1 if seen.sight is Sight.ANSWERS else 0
        if seen.sight is Sight.NAMED or in_row >= _ENOUGH:
            return seen
        if time.monotonic() + _PAUSE >= until:
            return (
                seen if in_row else Seen(Sight.WRONG, f"{place.url} after {place.seconds} s: {seen.reason}")
            )
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
    """Status, and headers and body as one text."""
    headers = {"User-Agent": "deployer", "Accept": "*/*", "Cache-Control": "no-cache"}
    proxies = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).netloc) else []
    opener = urllib.request.build_opener(_HttpOnly, *proxies)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        named = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        return answer.status or 0, named + answer.read(_MAX_BODY).decode("utf-8", "replace")
