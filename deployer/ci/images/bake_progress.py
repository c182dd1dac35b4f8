"""Build time of each image. In: chunks of bake's plain progress. Out: seconds for every target.

The lines of one build step share a number, and its first line names the target: `#7 [frontend build 2/5] RUN
…`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

_STEP = re.compile(rb"#(\d+) (?:\[([^\s\]]+))?")


class Progress:
    """Parser for chunks of output; a target's time is from its first line to its last."""

    def __init__(self, targets: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._targets = frozenset(targets)
        self._only = targets[0] if len(targets) == 1 else ""
        self._rest = b""
        self._owners: dict[bytes, str] = {}
        self._span: dict[str, tuple[float, float]] = {}

    def read(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        now = self._clock()
        for line in lines:
            self._line(line, now)

    def _line(self, line: bytes, now: float) -> None:
        found = _STEP.match(line)
        if found is None:
            return
        number, name = found.group(1), (found.group(2) or b"").decode("utf-8", "replace")
        if name in self._targets:
            self._owners[number] = name
        # bake leaves the name out where there is only one target.
        owner = self._only or self._owners.get(number, "")
        if owner:
            self._span[owner] = (self._span.get(owner, (now, now))[0], now)

    def seconds(self) -> Mapping[str, float]:
        """Returns target → seconds, without targets that the output did not mention."""
        return {target: round(last - first, 2) for target, (first, last) in self._span.items()}
