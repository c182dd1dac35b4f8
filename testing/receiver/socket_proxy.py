"""The allow-list between a deployer and Docker's socket, from the file that users copy. In: a folder. Out:
its socket, and a record of every call.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.docker.docker_cli import ROOT, docker, wait_for

FILE = ROOT / "examples" / "socket-proxy" / "compose.yaml"
_HAPROXY = 99
_CALL = re.compile(r"^(\d{3}) ([A-Z]+) (/\S*)$", re.MULTILINE)


class SocketProxy:
    """Context manager of the proxy."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    @property
    def socket(self) -> Path:
        return self._folder / "docker.sock"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        os.chown(self._folder, _HAPROXY, os.getgid())
        self._folder.chmod(0o2770)
        self._folder.parent.chmod(0o711)
        self._compose("up", "--detach", "--no-build", "--pull", "never")
        wait_for("the proxy's socket", self.socket.exists, 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compose("down", "--timeout", "2")

    def calls(self) -> list[tuple[int, str, str]]:
        """Returns status, method and path of every call."""
        text = docker("logs", f"{self._name}-proxy-1")
        return [(int(status), method, path) for status, method, path in _CALL.findall(text)]

    def _compose(self, *words: str) -> str:
        socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        variables = {
            "DEPLOYER_PROXY": str(self._folder),
            "DOCKER_SOCKET": str(socket),
            "DOCKER_GID": str(socket.stat().st_gid),
        }
        return docker("compose", "-p", self._name, "-f", str(FILE), *words, extra=variables)
