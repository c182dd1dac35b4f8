"""Interface to time. Adapters implement it; use cases and tests know only it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Returns Unix seconds, for records."""

    def monotonic(self) -> float:
        """Returns seconds that no clock step touches, for deadlines."""

    def sleep(self, seconds: float) -> None: ...
