"""A socket in front of the engine's that delays chosen calls, like a slow machine. In: a path, a pattern of
calls. Out: the same answers, later.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class HeldSocket:
    """A context manager. A call whose first line matches `pattern` waits until `release` is set."""

    def __init__(self, path: Path, pattern: str) -> None:
        self.path = path
        self.release = threading.Event()
        self.held = threading.Event()
        self._pattern = re.compile(pattern.encode())
        self._listening = socket.socket(socket.AF_UNIX)

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.path}"}

    def __enter__(self) -> Self:
        self._listening.bind(str(self.path))
        self._listening.listen(50)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._listening.close()

    def _serve(self) -> None:
        engine = os.environ["DOCKER_HOST"].removeprefix("unix://")
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(engine)
                for pair in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._pattern.match(data):
                    self.held.set()
                    self.release.wait(60)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
