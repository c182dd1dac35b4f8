"""Fixed-window rate limiter with a bounded number of keys. In: keys and times. Out: seconds to wait.

A window of fixed length begins with a key's first count. While all places are taken by running windows, a new
key is not counted, and a strict caller must wait.
"""

from __future__ import annotations

PLACES = 10_000


class RateLimiter:
    """Limiter of `most` counts of one key in `window` seconds. Not thread-safe."""

    def __init__(self, most: int, window: float = 60.0, places: int = PLACES) -> None:
        self._most = most
        self._window = window
        self._places = places
        self._counts: dict[str, tuple[float, int]] = {}  # key → start of its window and count, oldest first

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: str, now: float) -> None:
        self._forget(now)
        begun, count = self._counts.get(key, (now, 0))
        if count or len(self._counts) < self._places:
            self._counts[key] = (begun, count + 1)

    def wait(self, key: str, now: float, *, strict: bool = False) -> float:
        """Returns seconds until the key may come again, 0 if it may now. With `strict` no key passes
        uncounted.
        """
        self._forget(now)
        if key in self._counts:
            begun, count = self._counts[key]
            return begun + self._window - now if count >= self._most else 0.0
        if strict and len(self._counts) >= self._places:
            oldest, _ = next(iter(self._counts.values()))
            return oldest + self._window - now
        return 0.0

    def _forget(self, now: float) -> None:
        """Removes windows that are over. All have one length, so the oldest come first."""
        while self._counts:
            key = next(iter(self._counts))
            if now - self._counts[key][0] < self._window:
                return
            del self._counts[key]
