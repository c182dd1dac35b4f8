"""How often something came from one place lately. In: keys and moments. Out: how long one must wait.

A window of fixed length begins with a key's first count. The number of keys is bounded: while all places are
taken by windows that still run, a key without one is not counted, and whoever asks strictly must wait.
"""

from __future__ import annotations

PLACES = 10_000


class Tally:
    """At most `most` counts of one key in `window` seconds. Not for several threads at once."""

    def __init__(self, most: int, window: float = 60.0, places: int = PLACES) -> None:
        self._most = most
        self._window = window
        self._places = places
        self._counts: dict[str, tuple[float, int]] = {}  # key → begin of its window and count, oldest first

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: str, now: float) -> None:
        self._forget(now)
        begun, count = self._counts.get(key, (now, 0))
        if count or len(self._counts) < self._places:
            self._counts[key] = (begun, count + 1)

    def wait(self, key: str, now: float, *, strict: bool = False) -> float:
        """Seconds until the key may come again, 0 where it may now. `strict` lets nobody in uncounted."""
        self._forget(now)
        if key in self._counts:
            begun, count = self._counts[key]
            return begun + self._window - now if count >= self._most else 0.0
        if strict and len(self._counts) >= self._places:
            oldest, _ = next(iter(self._counts.values()))
            return oldest + self._window - now
        return 0.0

    def _forget(self, now: float) -> None:
        """Windows that are over. All have one length, so the oldest stand first."""
        while self._counts:
            key = next(iter(self._counts))
            if now - self._counts[key][0] < self._window:
                return
            del self._counts[key]
