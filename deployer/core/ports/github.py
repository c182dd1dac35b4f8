"""Interface to GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployer.core.model import (
    Bundle,
    Deployment,
)


class Forge(Protocol):
    """GitHub as the deployer uses it: source of the Compose model, and told what happened."""

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        """The Compose file and the files it names, at `revision`. Raises ForgeUnavailable or
        ReleaseIncomplete.
        """

    def tip(self, repository: str, branch: str) -> str:
        """The branch's newest commit, empty where there is no such branch. Raises ForgeUnavailable."""

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        """The branches whose newest commit this is. Raises ForgeUnavailable."""

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        """Whether `revision` is `tip` or one of the commits before it. Raises ForgeUnavailable."""

    def has_tag(self, repository: str, name: str) -> bool:
        """Raises ForgeUnavailable."""

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        """Posts a deployment status; a failure is logged and never changes the deployment."""
