"""Journal of one deployment in the store. In: kinds and texts of events, failures. Out: events without
secrets.

A store that cannot be written costs an event, not the rollout.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from deployer.core.errors import DeployerError, StoreUnavailable
from deployer.core.model import Deployment, EventKind, Status
from deployer.core.ports.clock import Clock
from deployer.core.ports.journal import JournalKind
from deployer.core.ports.store import DeploymentEvents
from deployer.core.redaction import redact, redact_secrets
from deployer.core.release.failure import Failure, failure_of
from deployer.core.reporting.log_fields import log_fields

_log = logging.getLogger("deployer.deploy")


@dataclass
class Attempt:
    """Attempt at a step; `failure` is None while it has none."""

    failure: Failure | None = None


class DeploymentJournal:
    """Implements `ports.Journal` on the store."""

    def __init__(
        self, deployment: Deployment, events: DeploymentEvents, clock: Clock, given: Mapping[str, str]
    ) -> None:
        """`given`: variables that the request brought. They come from secrets: no event shows any."""
        self._deployment = deployment
        self._events = events
        self._clock = clock
        self._given = given
        self._variables: dict[str, str] = {}

    def hide(self, variables: Mapping[str, str]) -> None:
        """Adds variables whose values later events must not show; an older value of a name stays hidden."""
        for name, value in variables.items():
            key = name
            while self._variables.get(key, value) != value:
                key += "'"
            self._variables[key] = value

    def record(self, kind: JournalKind, text: str) -> None:
        shown = self._shown(text)
        try:
            self._events.append(self._deployment.id, kind, shown, self._clock.now())
        except StoreUnavailable as error:
            told = log_fields("story-lost", self._deployment)
            _log.error("deployment %s, %s: %s (%s)", self._deployment.id, kind, shown, error, extra=told)

    def redact(self, text: str) -> str:
        return redact(text, self._variables)

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Keeps the failure of its block. A defect of the deployer ends the block as an error, too, because a
        deployment must never stay in progress.
        """
        attempt = Attempt()
        try:
            yield attempt
        except DeployerError as error:
            failure = failure_of(error)
            if error.hint:
                self.record(EventKind.HINT, error.hint)
            attempt.failure = replace(failure, reason=self._shown(failure.reason))
        except Exception as error:
            fields = log_fields("bug", self._deployment)
            _log.exception("deployment %s broke", self._deployment.id, extra=fields)
            name = type(error).__name__
            attempt.failure = Failure(Status.ERROR, f"the deployer broke ({name}); its log has the details")

    @contextmanager
    def best_effort(self, consequence: str = "") -> Iterator[Attempt]:
        """Records the failure of its block as `untidy`, after its consequence."""
        with self.attempt() as attempt:
            yield attempt
        if attempt.failure:
            self.record(EventKind.UNTIDY, f"{consequence}{attempt.failure.reason}")

    def _shown(self, text: str) -> str:
        return redact_secrets(redact(text, self._given), self._variables)
