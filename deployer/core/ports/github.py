"""Interface to GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployer.core.model import (
    Bundle,
    Deployment,
)


class GitHub(Protocol):
    """GitHub as the deployer uses it: source of Compose files, receiver of deployment statuses."""

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        """Returns the Compose file and the files it names, at `revision`. Raises GitHubUnavailable or
        ReleaseIncomplete.
        """

    def tip(self, repository: str, branch: str) -> str:
        """Returns the branch's newest commit, empty if the branch does not exist. Raises
        GitHubUnavailable.
        """

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        """Returns the branches with this commit as their newest. Raises GitHubUnavailable."""

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        """True if `revision` is `tip` or one of the commits before it. Raises GitHubUnavailable."""

    def has_tag(self, repository: str, name: str) -> bool:
        """True if the tag exists. Raises GitHubUnavailable."""

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Posts a deployment status; a failure is logged and never changes the deployment."""
