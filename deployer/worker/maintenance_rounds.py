"""Rounds of maintenance over all environments. In: the settings, the store, the target. Out: maintained
environments, deleted old records, and log lines about them.

Decides nothing about one environment: its target does.
"""

from __future__ import annotations

import logging

from deployer.core.config.settings import App, Environment
from deployer.core.errors import Busy, DeployerError, EngineUnavailable
from deployer.core.model import Deployment
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext

_log = logging.getLogger("deployer.worker")
_LOOKS = 20  # environments per round: with a thousand of them, each round takes the next ones
_TIDY = 60.0  # seconds between two deletions of old records


class MaintenanceRounds:
    """Maintains the next environments with each round, for one thread."""

    def __init__(self, context: DeployContext) -> None:
        self._context = context
        self.reaches = True  # the target answered the last request
        self._looked = 0  # number of looks at environments so far; selects the next one
        self._tidied = context.clock.monotonic()

    def run(self) -> None:
        """Runs one round. Raises the store's or the engine's error."""
        self.tidy()
        self.look_at_target()
        if self.reaches:
            self.reroute_all()

    def reroute_all(self) -> None:
        """Maintains the next environments without a running deployment. Raises EngineUnavailable."""
        apps = self._context.config.apps.values()
        places = [(app, environment) for app in apps for environment in app.environments.values()]
        for _ in range(min(_LOOKS, len(places))):
            app, environment = places[self._looked % len(places)]
            self._looked += 1
            newest = self._context.store.deployments.history(app.name, environment.name, 1)
            if newest and newest[0].status.final:
                self._attend(app, environment, newest[0])

    def look_at_target(self) -> None:
        """Logs once when the engine stops answering, and once when it answers again."""
        before, self.reaches = self.reaches, self._context.target.answers()
        if before and not self.reaches:
            _log.error(
                "Docker does not answer: nothing can be deployed; `deployer status` says why",
                extra=log_fields("engine-away"),
            )
        elif self.reaches and not before:
            _log.info("Docker answers again", extra=log_fields("engine-back"))

    def tidy(self) -> None:
        """Deletes old records from time to time."""
        now = self._context.clock.monotonic()
        if now - self._tidied >= _TIDY:
            self._tidied = now
            if forgotten := self._context.store.forget_old(self._context.clock.now()):
                _log.info("%d old deployments were deleted", forgotten, extra=log_fields("old-forgotten"))

    def _attend(self, app: App, environment: Environment, newest: Deployment) -> None:
        """Maintains one environment. A failure of one app is logged, so that it does not hide the other apps;
        an unavailable engine concerns all of them and is raised.
        """
        for task in self._context.target.maintenance(app, environment, newest):
            try:
                task()
            except EngineUnavailable:
                raise
            except Busy:
                return
            except DeployerError as error:
                told = log_fields("watch-failed", app=app.name, environment=environment.name, code=error.code)
                _log.error("%s: %s", environment.project, error.diagnostics(), extra=told)
