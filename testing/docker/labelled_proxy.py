"""A proxy that finds containers by their labels, as users have it in front: Caddy with its Docker plugin. In:
a project's network. Out: requests at the ports that labels name.

The proxy runs on the host and needs no image; to the engine and the containers that makes no difference.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.docker.docker_cli import ROOT, wait_for

_BASE = "{\n\tauto_https off\n}\n"


class LabelledProxy:
    """Context manager of a proxy. Its control port is fixed (127.0.0.1:2019), so only one runs at a time."""

    def __init__(self, folder: Path, network: str) -> None:
        self._folder = folder
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir()
        (self._folder / "Caddyfile").write_text(_BASE, encoding="utf-8")
        program = subprocess.run(
            [str(ROOT / "script" / "tools"), "caddy"], capture_output=True, text=True, check=True, timeout=900
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(program.stdout.split()[-1], "docker-proxy", "--ingress-networks", self._network),
                    *("--caddyfile-path", str(self._folder / "Caddyfile")),
                ],
                env={**os.environ, "HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        wait_for("the proxy's configuration", lambda: b"Successfully configured" in self.log.read_bytes(), 60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.terminate()
        self._process.wait(timeout=30)

    @property
    def log(self) -> Path:
        return self._folder / "log"
