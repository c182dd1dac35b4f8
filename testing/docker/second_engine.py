"""A test's own Docker engine, beside the shared one. In: the daemon's settings. Out: its address.

It changes no rule and no bridge of the shared engine, and adds one firewall rule, which lets its own
containers reach each other. Its containers cannot reach the internet: Dockerfiles for it copy and do not
fetch. Like any dockerd it needs root; a test without root uses `sudo`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testing.docker.docker_cli import docker, wait_for

_START = 120.0
_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
_POOL = "10.213.0.0/16"
# No address pool, firewall or bridge of the shared engine. `"bridge": "none"` would delete docker0.
_APART = {
    "iptables": False,
    "ip6tables": False,
    "ip-forward": False,
    "default-address-pools": [{"base": _POOL, "size": 24}],
}
# The shared engine's firewall drops traffic between containers that it does not know.
_RULE = ("FORWARD", "-s", _POOL, "-d", _POOL, "-j", "ACCEPT")


class SecondEngine:
    """A context manager; `settings` as in daemon.json."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dpl-engine-", dir="/var/tmp"))
        self.address = f"unix://{self.folder}/docker.sock"
        self._bridge = f"dpl-{secrets.token_hex(4)}"
        self._settings = {**_APART, "bridge": self._bridge, **settings}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Returns the daemon's process id."""
        return int((self.folder / "dockerd.pid").read_text())

    def __enter__(self) -> Self:
        (self.folder / "daemon.json").write_text(json.dumps(self._settings))
        _as_root("ip", "link", "add", self._bridge, "type", "bridge")
        _as_root("ip", "addr", "add", "10.212.0.1/24", "dev", self._bridge)
        _as_root("ip", "link", "set", self._bridge, "up")
        _as_root("iptables", "-w", "-I", *_RULE)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answers():
            for id in docker("ps", "-aq", extra=self.env).split():
                docker("rm", "-f", id, extra=self.env)
        self.stop()
        _as_root("iptables", "-w", "-D", *_RULE)
        _as_root("ip", "link", "del", self._bridge)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.address}

    def start(self) -> None:
        """Starts the daemon and waits until it answers."""
        words = [*_ROOT, "dockerd"]
        for name in ("data-root", "exec-root"):
            words += [f"--{name}", str(self.folder / name)]
        words += ["--pidfile", str(self.folder / "dockerd.pid"), "--host", self.address]
        with (self.folder / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [*words, "--config-file", str(self.folder / "daemon.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the second engine's answer", self._answers, _START)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Ends the daemon; after SIGKILL its containers run on, as with any engine that dies."""
        if self._child and self._child.poll() is None:
            self._child.send_signal(sign)
            self._child.wait(timeout=60)

    def fetch(self, *images: str) -> None:
        """Copies images from the shared engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "load", "--quiet"],
                stdin=saved.stdout,
                env={**os.environ, **self.env},
                check=True,
                capture_output=True,
            )
        assert saved.returncode == 0

    def _answers(self) -> bool:
        if self._child is None or self._child.poll() is not None:
            log = (self.folder / "log").read_text(errors="replace")[-2000:]
            assert self._child is None or self._child.returncode in (0, -signal.SIGKILL), log
            return False
        version = ["docker", "-H", self.address, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(version, check=False, capture_output=True, timeout=30).returncode == 0


def _as_root(*words: str) -> None:
    subprocess.run([*_ROOT, *words], check=True, capture_output=True)
