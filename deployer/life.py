"""The life of a server process. In: what it does until it is told to end. Out: exit code.

SIGTERM and SIGINT become a SystemExit in the main thread, once; what must be put in order before the end is
put in order by whoever catches it. Knows neither HTTP nor the queue.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from deployer.core.errors import DeployerError
from deployer.core.telling import about

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


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Once: a second signal must not come into the middle of stopping."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: None)  # not SIG_IGN, which children would inherit
    raise SystemExit(0)
