"""Threads that answer requests. In: tasks of waitress. Out: each task run by one thread.

waitress starts all threads at once and gives each task to the one that has rested longest, so that all of
them grow their stacks. This pool starts a thread only when none is free: a server with few requests needs few
threads.
"""

from __future__ import annotations

from typing import Any

from waitress.task import ThreadedTaskDispatcher


class Threads(ThreadedTaskDispatcher):  # type: ignore[misc] # waitress has no types
    """Thread pool with at most `most` threads."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def add_task(self, task: Any) -> None:
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()
            free = len(self.threads) - self.stop_count - self.active_count
            if len(self.queue) > free and len(self.threads) < self._most and not self.stop_count:
                number = len(self.threads)
                self.threads.add(number)
                self.active_count += 1
                self.start_new_thread(self.handler_thread, number)
