"""Interface to time, and the type of the event callback. Adapters implement it; use cases and tests know only
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Returns Unix seconds, for records."""

    def monotonic(self) -> float:
        """Returns seconds that no clock step touches, for deadlines."""

    def sleep(self, seconds: float) -> None: ...


Say = Callable[[str, str], None]  # kind, text: one event of a deployment
