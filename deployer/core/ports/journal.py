"""Interface to the journal of one deployment."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.model import EventKind
from deployer.core.rollout.plan import Verb

JournalKind: TypeAlias = EventKind | Verb | HookMoment


class Journal(Protocol):
    """Events of one deployment, in their order. No event shows a variable's value."""

    def record(self, kind: JournalKind, text: str) -> None:
        """Adds an event; `kind` names the step that it tells of. Never raises."""

    def redact(self, text: str) -> str:
        """The output of a program without the values of the deployment's variables."""
