"""Signal handling and shutdown of a server process. In: the function that runs until a signal. Out: exit
code.

SIGTERM and SIGINT become a SystemExit in the main thread, once; the function that catches it cleans up. Never
knows HTTP or the queue.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from deployer.core.errors import DeployerError
from deployer.core.reporting.log_fields import log_fields

FINISH = 8.0  # seconds from a signal to the end; Docker kills after 10
TELL = 2.0  # of these, reserved for pending reports to GitHub and for answers under way
_log = logging.getLogger("deployer.server")


def live(run: Callable[[], int]) -> int:
    """Runs `run` until it ends or a signal ends it. Returns the exit code."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _leave)
    try:
        return run()
    except DeployerError as error:
        print(f"deployer cannot start: {error.diagnostics()}", file=sys.stderr)
        return 1
    except SystemExit:
        _log.info("stopping: nothing was started yet", extra=log_fields("stopping"))
        return 0


def wait_while(alive: Callable[[], bool]) -> None:
    """Waits until a signal comes or `alive` returns False."""
    while alive():  # not Thread.join(): after an interruption it takes the thread for ended
        time.sleep(1.0)


def end_work(stop: Callable[[float], bool], tell: Callable[[float], bool], deadline: float) -> bool:
    """Ends the worker with `stop`, then sends the pending reports to GitHub with `tell`; both take seconds
    and return True if they finished in time. Returns True if no thread of them still works.
    """
    idle = stop(FINISH - TELL)
    if not idle:
        _log.warning(
            "a deployment is still running; the next start resumes it", extra=log_fields("left-running")
        )
    told = tell(max(0.0, deadline - time.monotonic()))
    return idle and told


def leave(close: Callable[[], None], *, clean: bool) -> int:
    """Returns the exit code, or exits at once. A thread that still works keeps its database open to the last
    moment, and the exit then skips Python's shutdown, which would wait for threads.
    """
    if clean:
        close()
        return 0
    logging.shutdown()
    os._exit(0)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Raises SystemExit once: a second signal must not interrupt the shutdown."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: None)  # not SIG_IGN, which children would inherit
    raise SystemExit(0)
