"""How often one address may ask. In: every request and what became of it. Out: nothing, or TooManyRequests.

Failed proofs of identity have a small allowance: ten a minute of wrong tokens or signatures. Everything else
that was not answered well, or needs no proof, has a larger one, and all together has one that only a flood
meets. Behind a proxy that does not say for whom it speaks, one address stands for everybody: there a good
signature still counts when strangers have used the allowance up, and only who proves nothing is turned away.
People's own verbs are stricter: no wrong token gets more tries than these, wherever it comes from.
"""

from __future__ import annotations

import threading

from flask import Flask, Response, current_app, g, request

from deployer.core.caller import Caller, Network, caller_of, read_networks
from deployer.core.config import Config
from deployer.core.errors import DeployerError, TooManyRequests
from deployer.core.ports import Clock
from deployer.core.tally import Tally

FAILURES = 10  # a minute
STRANGERS = 300
REQUESTS = 6_000
_KEY = "deployer.limits"
_PROOFS = ("signature-mismatch", "token-rejected")
_OPEN = ("status.health", None)  # endpoints that ask for no proof; None: there is no such address
_STRICT = ("deployments.redeploy", "deployments.roll_back")


class Limits:
    """The counts of one process."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._proxies: tuple[Network, ...] = read_networks(config.trusted_proxies)
        self._clock = clock
        self._lock = threading.Lock()
        self.failures = Tally(FAILURES)
        self._strangers = Tally(STRANGERS)
        self._requests = Tally(REQUESTS)

    def caller(self) -> Caller:
        """Who sends the request that is being answered."""
        return caller_of(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""), self._proxies)

    def admit(self) -> None:
        """Raises TooManyRequests before anything is verified."""
        g.caller = caller = self.caller()
        strict = request.endpoint in _STRICT
        with self._lock:
            now = self._clock.monotonic()
            self._requests.count(caller.key, now)
            waits = [self.failures.wait(caller.key, now, strict=True)] if strict else []
            if not caller.shared:
                tallies = (self.failures, self._strangers, self._requests)
                waits += [tally.wait(caller.key, now) for tally in tallies]
        if any(waits):
            raise TooManyRequests(max(waits))

    def failed(self, error: DeployerError) -> DeployerError:
        """What to answer instead of a failed proof: the same, until there were too many."""
        caller = g.get("caller")
        if error.code not in _PROOFS or caller is None:
            return error
        with self._lock:
            now = self._clock.monotonic()
            wait = self.failures.wait(caller.key, now)
            self.failures.count(caller.key, now)
        return TooManyRequests(wait) if wait else error

    def note(self, answer: Response) -> Response:
        """Counts what proved nothing."""
        caller = g.get("caller")
        unproven = request.endpoint in _OPEN or request.method == "OPTIONS" or answer.status_code >= 400
        if caller and unproven and answer.status_code != 429:
            with self._lock:
                self._strangers.count(caller.key, self._clock.monotonic())
        return answer


def limit(app: Flask, config: Config, clock: Clock) -> None:
    """Counts all requests of the app from now on."""
    limits = app.extensions[_KEY] = Limits(config, clock)
    app.before_request(limits.admit)
    app.after_request(limits.note)


def the_limits() -> Limits:
    bound = current_app.extensions[_KEY]
    assert isinstance(bound, Limits)
    return bound
