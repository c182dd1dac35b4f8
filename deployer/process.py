"""The life of a server process. In: what it does until it is told to end. Out: exit code.

SIGTERM and SIGINT become a SystemExit in the main thread, once; what must be put in order before the end is
put in order by whoever catches it. Knows neither HTTP nor the queue.
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
from deployer.core.reporting.log_fields import about

FINISH = 8.0  # seconds from a signal to the end; Docker kills after 10
TELL = 2.0  # of these, kept for what waits for GitHub and for answers under way
_log = logging.getLogger("deployer.server")


def live(run: Callable[[], int]) -> int:
    """Runs it until it ends or a signal ends it."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _leave)
    try:
        return run()
    except DeployerError as error:
        print(f"deployer cannot start: {error.diagnostics()}", file=sys.stderr)
        return 1
    except SystemExit:
        _log.info("stopping: nothing was started yet", extra=about("stopping"))
        return 0


def wait_while(alive: Callable[[], bool]) -> None:
    """Until a signal comes or `alive` is no more."""
    while alive():  # not Thread.join(): interrupted, it takes the thread for ended
        time.sleep(1.0)


def end_work(stop: Callable[[float], bool], tell: Callable[[float], bool], deadline: float) -> bool:
    """Ends the worker with `stop`, then sends with `tell` what waits for GitHub; both take seconds and say
    whether they were done in time. True when nothing of it still works.
    """
    idle = stop(FINISH - TELL)
    if not idle:
        _log.warning("a deployment is still running; the next start resumes it", extra=about("left-running"))
    told = tell(max(0.0, deadline - time.monotonic()))
    return idle and told


def leave(close: Callable[[], None], *, clean: bool) -> int:
    """The exit code. Where some thread still works it keeps its database to the last moment, and Python,
    which waits for threads, is not asked.
    """
    if clean:
        close()
        return 0
    logging.shutdown()
    os._exit(0)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Once: a second signal must not come into the middle of stopping."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: None)  # not SIG_IGN, which children would inherit
    raise SystemExit(0)
