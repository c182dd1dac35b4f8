"""A registry of one test, which may be stopped: it holds no other test's images.

It runs the installed program, else its image, like the shared registry of `script/engine`.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.docker.docker_cli import docker, free_port, wait_for

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class PrivateRegistry:
    """Context manager of a registry; image names begin with `host`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._container = f"registry-{self._port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        if program := shutil.which("docker-registry"):
            config = self._folder / "registry.yml"
            config.write_text(_CONFIG.format(folder=self._folder, port=self._port), encoding="utf-8")
            with (self._folder / "registry.log").open("ab") as log:
                self._process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
        else:
            place = f"127.0.0.1:{self._port}:5000"
            docker("run", "--detach", "--name", self._container, "--publish", place, "registry:2")
        wait_for("the registry's answer", self.answers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)
        else:
            with contextlib.suppress(AssertionError):
                docker("rm", "--force", "--volumes", self._container)
        wait_for("the registry's end", lambda: not self.answers())

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
