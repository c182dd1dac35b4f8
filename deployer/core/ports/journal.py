"""Interface to the journal of one deployment."""

from __future__ import annotations

from typing import Protocol


class Journal(Protocol):
    """Events of one deployment, in their order. No event shows a variable's value."""

    def record(self, kind: str, text: str) -> None:
        """Adds an event; `kind` names the step that it tells of. Never raises."""

    def redact(self, text: str) -> str:
        """The output of a program without the values of the deployment's variables."""
