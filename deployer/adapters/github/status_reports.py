"""Reports of deployment statuses to GitHub. In: deployments. Out: posted statuses. Never sends a POST twice:
a second one would be a second deployment on GitHub's page.

A thread of their own sends the reports; their failures never reach a deploy. Contract:
https://docs.github.com/en/rest/deployments.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from github.Repository import Repository

from deployer.adapters.github.api_access import FAULTS, ApiAccess, explain
from deployer.adapters.github.outbox import Outbox
from deployer.core.errors import DeployerError
from deployer.core.images import REVISION
from deployer.core.model import Deployment
from deployer.core.reporting.deployment_text import MAX_DESCRIPTION, cut, payload_of

_log = logging.getLogger("deployer.github")
_TASK = "deploy"


class Ledger(Protocol):
    """Maps the server's deployments to GitHub's; kept by the store."""

    def forge_id(self, deployment_id: str) -> int | None: ...

    def remember_forge_id(self, deployment_id: str, forge_id: int) -> None: ...


@dataclass(frozen=True)
class _Report:
    repository: str
    deployment: Deployment
    url: str
    text: str

    def __str__(self) -> str:
        return f"{self.deployment.status} of deployment {self.deployment.id} for {self.repository}"


class StatusReporter:
    """Sends the statuses of deployments, in order, in the background. `environment_url` returns the address
    that users open, empty if there is none.
    """

    def __init__(
        self, access: ApiAccess, ledger: Ledger, environment_url: Callable[[Deployment], str]
    ) -> None:
        self._access = access
        self._ledger = ledger
        self._environment_url = environment_url
        self._client = access.client()  # used by the outbox's thread only
        self._outbox: Outbox[_Report] = Outbox("github", self._send, _log)

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Queues the report and returns at once; a failure to send it is logged."""
        self._outbox.put(_Report(repository, deployment, url, text))

    def close(self, timeout: float) -> bool:
        """Sends the queued reports, for at most `timeout` seconds; False if some were not sent."""
        done = self._outbox.close(timeout)
        if done:
            self._client.close()
        return done

    def _send(self, report: _Report) -> None:
        try:
            if REVISION.fullmatch(report.deployment.revision):
                self._post_status(report)
        except DeployerError as error:
            _log.warning("%s: %s", report, error)
        except FAULTS as error:
            _log.warning("%s: %s", report, self._access.redact(explain(error)[0]))
        except Exception as error:  # a bug here must not end the thread
            _log.error("%s: %s", report, self._access.redact(f"{type(error).__name__}: {error}"))

    def _post_status(self, report: _Report) -> None:
        repository = self._client.get_repo(report.repository)
        number = self._number(repository, report)
        body = {
            "state": report.deployment.status.value,
            "log_url": report.url,
            "description": cut(report.text, MAX_DESCRIPTION),
            "environment": report.deployment.environment,
            "auto_inactive": False,
        }
        address = self._environment_url(report.deployment)
        if address:
            body["environment_url"] = address
        # PyGithub's create_status has no parameter log_url.
        repository.requester.requestJsonAndCheck(
            "POST", f"{repository.url}/deployments/{number}/statuses", input=body
        )

    def _number(self, repository: Repository, report: _Report) -> int:
        """Returns the number of GitHub's deployment: remembered, found again, or created."""
        known = self._ledger.forge_id(report.deployment.id)
        if known is not None:
            return known
        number = self._find(repository, report.deployment) or self._create(repository, report)
        self._ledger.remember_forge_id(report.deployment.id, number)
        return number

    def _find(self, repository: Repository, deployment: Deployment) -> int | None:
        """Returns a deployment that an earlier process created: GitHub's answer came too late, or was lost in
        a crash.
        """
        wanted = {"sha": deployment.revision, "environment": deployment.environment, "task": _TASK}
        _, listed = repository.requester.requestJsonAndCheck(
            "GET", f"{repository.url}/deployments", parameters=wanted
        )
        mine = payload_of(deployment)
        return next((int(item["id"]) for item in listed if _payload(item.get("payload")) == mine), None)

    def _create(self, repository: Repository, report: _Report) -> int:
        deployment = report.deployment
        _, made = repository.requester.requestJsonAndCheck(
            "POST",
            f"{repository.url}/deployments",
            input={
                "ref": deployment.revision,
                "task": _TASK,
                "auto_merge": False,
                "required_contexts": [],
                "payload": payload_of(deployment),
                "environment": deployment.environment,
                "description": cut(report.text, MAX_DESCRIPTION),
            },
        )
        return int(made["id"])


def _payload(value: Any) -> Any:
    """Returns a deployment's payload, which GitHub sends either as an object or as its JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
