"""Stand-in for GitHub when no token is configured. In: the calls of `ports.github.GitHub`. Out: nothing, or
GitHubUnavailable.

A module apart from `github_client`: a server without a token does not load PyGithub, which takes 6 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.core.errors import GitHubUnavailable
from deployer.core.model import Bundle, Deployment


class NoGitHub:
    """Reports nothing and reads nothing."""

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        raise GitHubUnavailable(
            f"{entry} of {repository} cannot be read: no GitHub token is configured",
            hint="set github.token-file, or deploy with the action, which brings the Compose file",
        )

    def tip(self, repository: str, branch: str) -> str:
        raise _blind(f"{branch} of {repository}")

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        raise _blind(f"the branches of {repository}")

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        raise _blind(f"{revision[:7]} of {repository}")

    def has_tag(self, repository: str, name: str) -> bool:
        raise _blind(f"the tag {name} of {repository}")

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Does nothing: without a token no report can be sent."""

    def close(self, timeout: float) -> bool:
        return True


def _blind(what: str) -> GitHubUnavailable:
    return GitHubUnavailable(
        f"{what} cannot be looked up: no GitHub token is configured", hint="set github.token-file"
    )
