"""Entry point of the runner's side. In: argv. Out: exit code: 0 done, 1 an expected failure, 2 no such verb.

An expected failure is one `::error` with its code and the next step; the result is stored for `report`.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from types import FrameType

from deployer.ci import run_state
from deployer.ci.github import workflow_commands
from deployer.core.errors import DeployerError

# Each verb is a module. A step loads only its own: loading all of them would cost every step some 40 ms.
VERBS = ("decide", "checkout", "build", "test", "plan", "push", "deploy", "report")


def main(argv: list[str]) -> int:
    """Runs one verb."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if len(argv) != 1 or argv[0] not in VERBS:
        print(f"usage: python3 -I deployer/ci {{{','.join(VERBS)}}}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    return _judged(argv[0])


def _judged(verb: str) -> int:
    started = time.monotonic()
    reason, hint, done = "it was interrupted", "", False
    try:
        import_module(f"deployer.ci.steps.{verb}").run()
        reason, done = "", True
    except DeployerError as error:
        reason, hint = str(error), error.hint
        workflow_commands.error(error.diagnostics(), title=f"deployer {verb}")
    except OSError as error:  # a full disk, a missing program, a file of another user
        reason = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        workflow_commands.error(
            f"{reason} [runner-failed]\nhint: check the runner's disk space", title=f"deployer {verb}"
        )
    except Exception as error:
        reason = f"a defect of the action: {type(error).__name__}: {error}"
        workflow_commands.say(traceback.format_exc())
        workflow_commands.error(
            f"{reason} [defect]\nhint: please report it with this log", title=f"deployer {verb}"
        )
    finally:
        with suppress(OSError):
            run_state.record(verb, run_state.StepResult(done, reason, time.monotonic() - started, hint))
    return 0 if done else 1


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(128 + number)
