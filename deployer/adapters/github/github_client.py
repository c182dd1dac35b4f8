"""GitHub's REST API through PyGithub. In: revisions, deployments. Out: Compose files, and posted statuses.
Never sends a POST twice: a second one would be a second deployment on GitHub's page.

Reports are sent by a thread of their own; their failures never reach a deploy. Neither logs nor errors
contain the token. Contract: https://docs.github.com/en/rest/deployments, API version 2022-11-28.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from github import Auth, Github, GithubException, GithubRetry, UnknownObjectException
from github.ContentFile import ContentFile
from github.GitTreeElement import GitTreeElement
from github.Repository import Repository

from deployer.adapters.github.outbox import Outbox
from deployer.core.compose.bundle import collect_bundle
from deployer.core.errors import DeployerError, GitHubUnavailable, ReleaseIncomplete
from deployer.core.images import REVISION
from deployer.core.model import Bundle, Deployment
from deployer.core.reporting.deployment_text import MAX_DESCRIPTION, cut, payload_of
from deployer.core.requests.deploy_request import MAX_FILE_BYTES

_log = logging.getLogger("deployer.github")
API_VERSION = "2022-11-28"
_TASK = "deploy"
_MOST_WAIT = 30  # longest wait, in seconds, that GitHub may ask for before a read is retried
FAULTS = (
    GithubException,
    requests.RequestException,
    RuntimeError,
    AssertionError,
    ValueError,
    TypeError,
    KeyError,
)
_HINTS = {
    401: "the token in github.token-file is wrong or has expired",
    403: "the token needs Contents: read and Deployments: write, and calls left in its rate limit",
    404: "is the repository's name right, and may the token in github.token-file read it?",
    422: "GitHub did not accept the request; is the revision pushed?",
}


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


class GitHubClient:
    """Implements `ports.github.GitHub`. `environment_url` returns the address that users open, empty if there
    is none.
    """

    def __init__(
        self,
        *,
        api: str,
        token: str,
        ledger: Ledger,
        environment_url: Callable[[Deployment], str] = lambda _: "",
        timeout: int = 10,
    ) -> None:
        self._api = api
        self._token = token
        self._ledger = ledger
        self._environment_url = environment_url
        self._timeout = timeout
        self._reporter = self._client()  # used by the outbox's thread only: a client is not thread-safe
        self._outbox: Outbox[_Report] = Outbox("github", self._send, _log)

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        client = self._client()
        try:
            return _Source(client, repository, revision, entry).bundle()
        except FAULTS as error:
            why, hint = explain(error)
            raise GitHubUnavailable(f"{repository}: {self._redact(why)}", hint=hint) from None
        finally:
            client.close()

    def tip(self, repository: str, branch: str) -> str:
        with self._asking(repository) as found:
            return found.get_git_ref(f"heads/{branch}").object.sha
        return ""

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        with self._asking(repository) as found:
            return [branch.name for branch in found.get_commit(revision).get_branches_where_head()]
        return []

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        with self._asking(repository) as found:
            return found.compare(tip, revision).status in ("identical", "behind")
        return False

    def has_tag(self, repository: str, name: str) -> bool:
        with self._asking(repository) as found:
            return bool(found.get_git_ref(f"tags/{name}").object.sha)  # `ref` alone sends no request
        return False

    @contextmanager
    def _asking(self, repository: str) -> Iterator[Repository]:
        """Opens the repository for a query. Ends the block quietly if GitHub does not know the object; every
        other failure raises GitHubUnavailable.
        """
        client = self._client()
        try:
            yield client.get_repo(repository)
        except UnknownObjectException:
            return
        except FAULTS as error:
            why, hint = explain(error)
            raise GitHubUnavailable(f"{repository}: {self._redact(why)}", hint=hint) from None
        finally:
            client.close()

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Queues the report and returns at once; a failure to send it is logged."""
        self._outbox.put(_Report(repository, deployment, url, text))

    def close(self, timeout: float) -> bool:
        """Sends the queued reports, for at most `timeout` seconds; False if some were not sent."""
        done = self._outbox.close(timeout)
        if done:
            self._reporter.close()
        return done

    def _client(self) -> Github:
        return client_of(self._api, Auth.Token(self._token), self._timeout)

    def _send(self, report: _Report) -> None:
        try:
            if REVISION.fullmatch(report.deployment.revision):
                self._post_status(report)
        except DeployerError as error:
            _log.warning("%s: %s", report, error)
        except FAULTS as error:
            _log.warning("%s: %s", report, self._redact(explain(error)[0]))
        except Exception as error:  # a bug here must not end the thread
            _log.error("%s: %s", report, self._redact(f"{type(error).__name__}: {error}"))

    def _post_status(self, report: _Report) -> None:
        repository = self._reporter.get_repo(report.repository)
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

    def _redact(self, text: str) -> str:
        """Removes the token: a proxy or gateway on the way may quote the request."""
        return text.replace(self._token, "[redacted]")


def client_of(api: str, auth: Auth.Auth, timeout: int) -> Github:
    """Returns a client that sends nothing twice and waits at most `_MOST_WAIT` seconds."""
    return Github(
        auth=auth,
        base_url=api,
        timeout=timeout,
        user_agent="deployer",
        lazy=True,
        api_version=API_VERSION,
        # The default repeats a POST ten times and waits for an hour; between writes it sleeps a second.
        retry=GithubRetry(
            total=2,
            backoff_factor=0.2,
            allowed_methods={"GET"},
            max_rate_limit_wait=_MOST_WAIT,
            retry_after_max=_MOST_WAIT,
        ),
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


class _Source:
    """Reads one repository at one revision."""

    def __init__(self, client: Github, name: str, revision: str, entry: str) -> None:
        self._name = name
        self._repository = client.get_repo(name)
        self._revision = revision
        self._entry = entry

    def bundle(self) -> Bundle:
        tree = self._repository.get_git_tree(self._revision, recursive=True)
        if tree.raw_data.get("truncated"):
            raise ReleaseIncomplete(
                f"{self._name} has too many files for GitHub to list",
                hint="deploy with the action, which brings the Compose file",
            )
        self._files = {item.path: item for item in tree.tree if _is_regular(item)}
        return collect_bundle(self._entry, self._files, self._read)

    def _read(self, path: str) -> str | None:
        """Returns a file's text; None if it is binary or too large. GitHub's contents API returns up to 1
        MiB.
        """
        if (self._files[path].size or 0) > MAX_FILE_BYTES:
            return None
        found = self._repository.get_contents(path, ref=self._revision)
        if not isinstance(found, ContentFile):
            return None
        raw = found.decoded_content
        try:
            return None if b"\0" in raw else raw.decode("utf-8")
        except UnicodeDecodeError:
            return None


def _is_regular(item: GitTreeElement) -> bool:
    return item.type == "blob" and item.mode in ("100644", "100755")


def _payload(value: Any) -> Any:
    """Returns a deployment's payload, which GitHub sends either as an object or as its JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def explain(error: Exception) -> tuple[str, str]:
    """Returns the cause and the next step, without any part of the request."""
    if isinstance(error, GithubException):
        said = error.data.get("message", "") if isinstance(error.data, dict) else ""
        return cut(f"GitHub answered {error.status} {said}", 200).rstrip(), _HINTS.get(
            error.status, "try again"
        )
    if isinstance(error, requests.RequestException):
        return f"GitHub cannot be reached: {type(error).__name__}", "is github.api right, and GitHub up?"
    return (
        f"GitHub's answer cannot be read: {type(error).__name__}",
        "is github.api the address of GitHub's API?",
    )
