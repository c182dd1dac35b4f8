"""Interface to the rendering of Compose files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from deployer.core.model import Bundle


class ComposeRenderer(Protocol):
    """Renders a release's files to a Compose model."""

    def render(self, project: str, bundle: Bundle, variables: Mapping[str, str]) -> Mapping[str, Any]:
        """Returns the Compose model with variables filled in. Raises ComposeRejected."""

    def planning(self, bundle: Bundle) -> AbstractContextManager[None]:
        """Opens a context in which the bundle is rendered for a plan, and leaves nothing behind. Raises
        TooManyRequests or StoreUnavailable if only the space reserved for deploys is left.
        """
