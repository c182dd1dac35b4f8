"""The receiver as two containers, from the file that users copy. In: an image. Out: a stage with both as its
server.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from testing.stage import ROOT, Stage, docker, wait_for

WORKER, WEB = 10001, 10002  # users, and their common group
FILE = ROOT / "examples" / "two-processes" / "compose.yaml"
# One difference from a server: the stand-ins for GitHub answer on this machine's own loopback.
LOCAL = """
services:
  web:
    network_mode: host
    ports: !reset []
"""


class TwoHalves(Stage):
    """A stage with two containers, each with a read-only root file system, no capability and its own user."""

    def __init__(self, image: str) -> None:
        super().__init__()
        self.image = image
        self.name = f"{self.project}-receiver"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def serve(self) -> None:
        self._hand_over()
        self.compose("up", "--detach", "--no-build", "--pull", "never")
        wait_for("the receiver's answer", lambda: self.get("/health")[0] == 200, 60)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        self.log.write_text(self.compose("logs", "--no-color", "--no-log-prefix"), encoding="utf-8")
        self.compose("down", "--timeout", "10")

    def compose(self, *words: str) -> str:
        socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        variables = {
            "DEPLOYER_IMAGE": self.image,
            "DEPLOYER_SETTINGS": str(self.folder),
            "DEPLOYER_STATE": str(self.state),
            "DEPLOYER_STORE": str(self.store),
            "DOCKER_SOCKET": str(socket),
            "DOCKER_GID": str(socket.stat().st_gid),
        }
        local = self.folder / "local.yaml"
        local.write_text(LOCAL, encoding="utf-8")
        return docker("compose", "-p", self.name, "-f", str(FILE), "-f", str(local), *words, extra=variables)

    def inside(self, half: str, *words: str) -> str:
        """Returns the output of a command in one of the containers; a failure fails the test."""
        return self.compose("exec", "-T", half, *words)

    def container(self, half: str) -> str:
        return f"{self.name}-{half}-1"

    def _configure(self) -> None:
        super()._configure()
        text = self.config.read_text(encoding="utf-8")
        text = text.replace("[oidc]", f'store = "{self.store}"\n\n[oidc]')
        (self.folder / "web").mkdir(exist_ok=True)
        (self.folder / "webhook.secret").rename(self.folder / "web" / "webhook.secret")
        text = text.replace(f"{self.folder}/webhook.secret", f"{self.folder}/web/webhook.secret")
        self.config.write_text(text, encoding="utf-8")

    def _hand_over(self) -> None:
        """Sets folders, owners and modes as the file says."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.store.mkdir(exist_ok=True)
        os.chown(self.state, WORKER, WORKER)
        os.chown(self.store, WORKER, WEB)
        self.store.chmod(0o2770)
        self.folder.chmod(0o711)
        for path in (self.folder / "web", self.folder / "web" / "webhook.secret", self.config):
            os.chown(path, 0, WEB)
            path.chmod(0o750 if path.is_dir() else 0o640)
        self.config.chmod(0o644)
        for path in (*self.folder.glob("*.secret"), self.folder / "shop.env"):
            os.chown(path, WORKER, WORKER)
