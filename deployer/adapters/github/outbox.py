"""Sending in the background, in order. In: items to send. Out: calls of one function in a thread of its own.
Never delays or fails its caller; never sends an item twice.

The queue is bounded: when the receiving side is too slow, the oldest item is dropped and logged.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
LIMIT = 200


class Outbox(Generic[Thing]):
    """Calls `send` once for each item; `send` handles its own failures."""

    def __init__(
        self, name: str, send: Callable[[Thing], None], log: logging.Logger, *, limit: int = LIMIT
    ) -> None:
        self._send = send
        self._log = log
        self._limit = limit
        self._waiting: deque[Thing] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, thing: Thing) -> None:
        """Queues an item and returns at once."""
        with self._changed:
            if self._closed:
                self._log.warning("the deployer is stopping; not sent: %s", thing)
                return
            if len(self._waiting) >= self._limit:
                self._log.warning(
                    "the queue of %d is full; not sent: %s", self._limit, self._waiting.popleft()
                )
            self._waiting.append(thing)
            self._changed.notify()

    def close(self, timeout: float) -> bool:
        """Accepts no more items; True if everything was sent within `timeout` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._log.warning("stopped while sending; %d more not sent", len(self._waiting))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (thing := self._next()) is not None:
            self._send(thing)

    def _next(self) -> Thing | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None
