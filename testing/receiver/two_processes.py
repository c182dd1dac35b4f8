"""The receiver as two processes, `deployer web` and `deployer worker`, with deploys in memory. In: how many
apps, how long a deploy takes. Out: a server of which either half can be killed.
"""

from __future__ import annotations

import signal
import subprocess
from types import TracebackType

from deployer.adapters.system.file_lock import is_held
from testing.docker.docker_cli import wait_for
from testing.receiver.receiver_process import Server

WEB, WORKER = "web", "worker"


class Pair(Server):
    """Both halves; `child` is the web half. `end` and `start` without an argument apply to both."""

    def __init__(self, apps: int, *, deploys: float) -> None:
        super().__init__(apps, deploys=deploys)
        self.worker: subprocess.Popen[bytes] | None = None
        self._half = WEB

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill(WORKER)
        super().__exit__(kind, error, trace)

    def start(self) -> None:
        self.wake(WORKER, WEB)

    def wake(self, *halves: str) -> None:
        """Starts the halves and returns once they answer and deploy."""
        for half in halves:
            self._half = half
            if half == WORKER:
                web, self.child = self.child, None
                self.launch()
                self.worker, self.child = self.child, web
            else:
                self.launch()
        lock = self.state / "worker.lock"
        wait_for("the worker", lambda: lock.exists() and is_held(lock), 60)
        wait_for("the receiver's answer", self.answers, 60)

    def kill(self, half: str) -> None:
        """Ends a half with SIGKILL."""
        child = self.worker if half == WORKER else self.child
        if child and child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=30)

    @property
    def _program(self) -> tuple[str, ...]:
        return (*super()._program, self._half)
