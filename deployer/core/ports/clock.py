"""What the corridor needs from outside, as protocols. Adapters implement them; the corridor and the tests
know only these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Unix seconds, for records."""

    def monotonic(self) -> float:
        """Seconds that no clock step touches, for deadlines."""

    def sleep(self, seconds: float) -> None: ...


Say = Callable[[str, str], None]  # kind, text: one line of a deployment's story
