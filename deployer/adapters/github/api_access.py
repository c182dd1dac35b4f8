"""Access to GitHub's REST API through PyGithub. In: an address, a token. Out: clients, and their failures in
words. Never sends a POST twice.

Neither logs nor errors contain the token. API version 2022-11-28.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import requests
from github import Auth, Github, GithubException, GithubRetry

from deployer.core.reporting.deployment_text import cut

API_VERSION = "2022-11-28"
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


@dataclass(frozen=True)
class ApiAccess:
    """Address and token of GitHub's API, and the seconds that one call may take."""

    api: str
    token: str = field(repr=False)
    timeout: int

    def client(self) -> Github:
        """Returns a client for one thread: PyGithub's clients are not thread-safe."""
        return client_of(self.api, Auth.Token(self.token), self.timeout)

    def redact(self, text: str) -> str:
        """Removes the token: a proxy or gateway on the way may quote the request."""
        return text.replace(self.token, "[redacted]")


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
