"""The receiver in its own process with any number of apps, without an engine. In: how many apps. Out: an
address that takes real deliveries, and its memory, files and rows to inspect.

It serves tests of HTTP, the store and the queue; deploys run on a `Stage`, which has the real engine.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployer.adapters.system.file_lock import hold
from deployer.core.auth.api_tokens import Right
from testing.docker.docker_cli import ROOT, free_port, wait_for
from testing.receiver.in_memory_server import LIVES_FAST, TAKES
from testing.receiver.receiver_inputs import open_store

SECRET = "a webhook secret that all apps of this server share"
_FIRST_ID = 1_000_000_000


def repository_id(app: int) -> int:
    """Returns an id of ten digits for an app."""
    return _FIRST_ID + app


class Server:
    """Context manager of a receiver. `own_secrets` gives every app its own webhook secret; with `deploys`,
    deploys take that many seconds and go to targets in memory, else they fail without an engine.
    """

    def __init__(
        self,
        apps: int,
        *,
        own_secrets: bool = False,
        state: Path | None = None,
        deploys: float | None = None,
        workers: int = 2,
        ready: Callable[[Server], None] | None = None,
        starts: bool = True,
        lives_fast: bool = False,
    ) -> None:
        # A Unix socket's path ends at 107 bytes, and some of them lie below the state folder.
        self.folder = Path(tempfile.mkdtemp(prefix="dpl-", dir="/tmp"))
        self.apps = apps
        self.port = free_port()
        self.state = state or self.folder / "state"
        self.child: subprocess.Popen[bytes] | None = None
        self._own_secrets = own_secrets
        self._deploys = deploys
        self._starts = starts
        self._lives_fast = lives_fast
        self._ready = ready  # called before its first start
        self._workers = workers
        self._locks = ExitStack()

    def __enter__(self) -> Self:
        self._configure()
        if self._ready:
            self._ready(self)
        if self._starts:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._locks.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def pid(self) -> int:
        assert self.child
        return self.child.pid

    def start(self) -> None:
        """Starts the process and returns once it answers."""
        self.launch()
        wait_for("the receiver's answer", self.answers, 60)

    def launch(self, *before: str) -> None:
        """Starts the process without waiting; `before` precedes its command line."""
        environment = {
            "PATH": os.environ["PATH"],
            "DEPLOYER_CONFIG": str(self.folder / "config.toml"),
            "DOCKER_HOST": f"unix://{self.folder}/no-engine.sock",
            TAKES: str(self._deploys or 0),
            LIVES_FAST: "yes" if self._lives_fast else "",
        }
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [*before, sys.executable, *self._program],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    @property
    def _program(self) -> tuple[str, ...]:
        if self._deploys is None:
            return (str(ROOT / "webhook_server.py"),)
        return ("-m", "testing.receiver.in_memory_server", str(self.folder))

    def served(self, app: int) -> str:
        """Returns the digest that requests would reach."""
        return (self.folder / "served" / self.name(app)).read_text(encoding="ascii")

    def story(self) -> list[tuple[float, str, str, str]]:
        """Returns time, begin or end, project and digest of each pull."""
        lines = (self.folder / "story").read_text(encoding="ascii").splitlines()
        return [(float(at), kind, app, digest) for at, kind, app, digest in map(str.split, lines)]

    def end(self, sign: signal.Signals = signal.SIGKILL) -> None:
        if self.child and self.child.poll() is None:
            self.child.send_signal(sign)
            self.child.wait(timeout=30)

    def answers(self) -> bool:
        assert self.child and self.child.poll() is None, self.log[-2000:]
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def keep_busy(self, apps: int | None = None) -> None:
        """Makes every deploy wait for its project, as behind the child of a killed deployer: newer requests
        supersede the queued ones.
        """
        for app in range(apps or self.apps):
            self._locks.enter_context(hold(self.state / "projects" / f"{self.name(app)}.lock"))

    def let_go(self) -> None:
        """Ends the effect of `keep_busy`."""
        self._locks.close()

    def token(self, person: str, app: int = 0) -> str:
        """Creates a person's new token with the right to read."""
        store = open_store(self.state)
        try:
            rights = frozenset({Right.READ})
            return store.tokens.create(
                name=person, app=self.name(app), can=rights, expires_at=None, now=time.time()
            )
        finally:
            store.close()

    def name(self, app: int) -> str:
        return f"app-{app}"

    def secret(self, app: int) -> bytes:
        return (f"{SECRET} {app}" if self._own_secrets else SECRET).encode()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Opens its database, for reading."""
        with closing(sqlite3.connect(f"file:{self.state}/deployer.db?mode=ro", uri=True)) as opened:
            yield opened

    def value(self, sql: str, *values: Any) -> Any:
        with self.database() as opened:
            return opened.execute(sql, values).fetchone()[0]

    def rss_mb(self) -> float:
        return rss_mb(self.pid)

    def _configure(self) -> None:
        text = [f'server = {{ url = "http://127.0.0.1:{self.port}", listen = "127.0.0.1:{self.port}",']
        text[0] += f' state = "{self.state}", workers = {self._workers} }}'
        for app in range(self.apps):
            secret = self.folder / (f"{app}.secret" if self._own_secrets else "all.secret")
            secret.write_bytes(self.secret(app))
            secret.chmod(0o600)
            text += [
                f"[apps.{self.name(app)}]",
                f'repository = "acme/{self.name(app)}"',
                f"repository-id = {repository_id(app)}",
                "owner-id = 42",
                f'webhook-secret-files = ["{secret}"]',
                "environments.production = { trust-tags = true }",
            ]
        (self.folder / "config.toml").write_text("\n".join(text) + "\n", encoding="utf-8")


def rss_mb(pid: int) -> float:
    """Returns the resident memory of one process, in 2^20 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no memory")
