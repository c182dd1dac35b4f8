"""The threads that answer requests. In: tasks of waitress. Out: each run by a thread of its own.

waitress starts all threads at once and gives each task to the one that has rested longest, so that all of
them grow their stacks. Here one more is started when none is free: a server that is asked by few needs few.
"""

from __future__ import annotations

from typing import Any

from waitress.task import ThreadedTaskDispatcher


class Threads(ThreadedTaskDispatcher):  # type: ignore[misc] # waitress has no types
    """At most `most` of them."""

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
