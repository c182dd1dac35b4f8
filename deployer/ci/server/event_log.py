"""Deployment events in the step's log. In: events of the server. Out: lines, folded by phase.

The server's text is never a command to the runner; only the folds are commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from deployer.ci.github import workflow_commands
from deployer.core.model import EventKind
from deployer.core.rollout.plan import Verb

_BACK = "Roll back"
_ROLLING_OUT = (Verb.CREATE, Verb.START, Verb.GATE, Verb.RETIRE, Verb.SWITCH, EventKind.LOG)
_PARTS: Mapping[str, str] = {
    **dict.fromkeys((EventKind.ENQUEUE, EventKind.CLAIM, EventKind.REQUEUE), "Queue"),
    **dict.fromkeys((EventKind.RESOLVE, EventKind.PULL), "Pull the images"),
    EventKind.PLAN: "Plan",
    **dict.fromkeys(_ROLLING_OUT, "Roll out"),
    EventKind.CONFIRM: "Check from outside",
    **dict.fromkeys((Verb.DRAIN, Verb.STOP, Verb.REMOVE, EventKind.UNTIDY), "Clean up"),
    EventKind.ROLLBACK: _BACK,
    EventKind.FAILED: "",  # not folded
}


class Story:
    """Context manager that prints events; it closes the open fold at its end."""

    def __init__(self) -> None:
        self.last = 0  # number of the last printed event
        self.blank = ""  # the server's notice about variables without a value
        self._began: float | None = None
        self._part: str | None = None
        self._fold = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fold.close()

    def tell(self, event: Mapping[str, Any]) -> bool:
        """Prints an event once, with the seconds since the first one. Returns True if the event was new."""
        n, at = event.get("n"), event.get("at")
        if not isinstance(n, int) or n <= self.last:
            return False
        self.last = n
        seconds = float(at) if isinstance(at, int | float) and abs(at) < 1e12 else 0.0
        self._began = seconds if self._began is None else self._began
        kind = str(event.get("kind", ""))
        self._turn(kind)
        if kind == EventKind.BLANK:
            self.blank = str(event.get("text", ""))
        workflow_commands.say(f"{seconds - self._began:7.1f} s  {kind}  {event.get('text', '')}")
        return True

    def _turn(self, kind: str) -> None:
        """Opens the fold for this kind of event; during a rollback all events belong to the
        rollback's fold.
        """
        part = self._part if self._part == _BACK else _PARTS.get(kind, self._part or "")
        if part == self._part:
            return
        self._fold.close()
        self._part = part
        if part:
            self._fold.enter_context(workflow_commands.group(part))
        self._fold.enter_context(workflow_commands.commands_stopped())
