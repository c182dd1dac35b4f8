"""Rate limits per client address. In: every request and the status of its answer. Out: nothing, or
TooManyRequests.

Failed authentication has a small allowance: ten wrong tokens or signatures a minute. Requests that failed
otherwise, or need no authentication, have a larger one, and all requests together have one that only a flood
meets. Behind a proxy that does not forward the client's address, one address stands for all clients: there a
request with a good signature still passes when strangers have used up the allowance, and only unauthenticated
requests are refused. Redeploy and rollback with a person's token are stricter: no client gets more tries with
wrong tokens than the small allowance, from any address.
"""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask, Response, current_app, request

from deployer.core.config.settings import Config
from deployer.core.errors import DeployerError, TooManyRequests
from deployer.core.http.client_address import Caller, Network, caller_of, read_networks
from deployer.core.http.rate_limit import RateLimiter
from deployer.core.ports.clock import Clock

FAILURES = 10  # a minute
STRANGERS = 300
REQUESTS = 6_000
LINES = 60  # log lines a minute, for refusals and for failures each
_KEY = "deployer.limits"
_CALLER = "deployer.caller"  # key in a request's environment
_PROOFS = ("signature-mismatch", "token-rejected")
_OPEN = ("status.health", None)  # endpoints without authentication; None: no such address
_STRICT = ("deployments.redeploy", "deployments.roll_back")


class Limits:
    """The counters of one process."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._proxies: tuple[Network, ...] = read_networks(config.trusted_proxies)
        self._clock = clock
        self._lock = threading.Lock()
        self.failures = RateLimiter(FAILURES)
        self._strangers = RateLimiter(STRANGERS)
        self._requests = RateLimiter(REQUESTS)
        self._lines = RateLimiter(LINES)
        self._untold = 0

    def admit(self) -> None:
        """Counts the request unless the fast path has done it. Raises TooManyRequests before anything is
        verified.
        """
        if _CALLER not in request.environ:
            self.let_in(request.environ, strict=request.endpoint in _STRICT)

    def let_in(self, environ: dict[str, Any], *, strict: bool = False) -> Caller:
        """Counts a request, once, and returns its client. Raises TooManyRequests."""
        peer, forwarded = environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR", "")
        environ[_CALLER] = caller = caller_of(peer, forwarded, self._proxies)
        with self._lock:
            now = self._clock.monotonic()
            self._requests.count(caller.key, now)
            waits = [self.failures.wait(caller.key, now, strict=True)] if strict else []
            if not caller.shared:
                tallies = (self.failures, self._strangers, self._requests)
                waits += [rate_limiter.wait(caller.key, now) for rate_limiter in tallies]
        if any(waits):
            raise TooManyRequests(max(waits))
        return caller

    def failed(self, error: DeployerError) -> DeployerError:
        """Counts a failed authentication and returns the error to answer: the same one, or TooManyRequests
        above the allowance.
        """
        caller = the_caller()
        if error.code not in _PROOFS or caller is None:
            return error
        with self._lock:
            now = self._clock.monotonic()
            wait = self.failures.wait(caller.key, now)
            self.failures.count(caller.key, now)
        return TooManyRequests(wait) if wait else error

    def line(self, kind: str) -> int | None:
        """Returns None if the log has enough lines of this kind for this minute; otherwise the number of
        refusals and failures before this one that have no line.
        """
        with self._lock:
            now = self._clock.monotonic()
            full = self._lines.wait(kind, now)
            self._lines.count(kind, now)
            untold, self._untold = self._untold, self._untold + 1 if full else 0
        return None if full else untold

    def note(self, answer: Response) -> Response:
        """Counts answers to requests that proved no identity."""
        caller = the_caller()
        unproven = request.endpoint in _OPEN or request.method == "OPTIONS" or answer.status_code >= 400
        if caller and unproven and answer.status_code != 429:
            with self._lock:
                self._strangers.count(caller.key, self._clock.monotonic())
        return answer


def the_caller() -> Caller | None:
    """Returns the client of the current request; None before the request was counted."""
    caller: Caller | None = request.environ.get(_CALLER)
    return caller


def limit(app: Flask, config: Config, clock: Clock) -> Limits:
    """Counts all requests of the app from now on."""
    limits = app.extensions[_KEY] = Limits(config, clock)
    app.before_request(limits.admit)
    app.after_request(limits.note)
    return limits


def the_limits() -> Limits:
    bound = current_app.extensions[_KEY]
    assert isinstance(bound, Limits)
    return bound
