"""The receiver in its image, run as the README says. In: an image. Out: a stage whose server is the
container.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from testing.stage import Stage, docker, wait_for

USER = 10001  # the image's own user


class ContainerStage(Stage):
    """A stage with a receiver that is not root, with a read-only root file system and no capability; the
    Docker socket is reached by its group.
    """

    def __init__(self, image: str) -> None:
        super().__init__()
        self.image = image
        self.name = f"{self.project}-receiver"

    def serve(self) -> None:
        self._hand_over()
        socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        options = ["--detach", "--name", self.name, "--network", "host", "--read-only", "--tmpfs", "/tmp"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]
        options += ["--group-add", str(socket.stat().st_gid), "--volume", f"{socket}:/var/run/docker.sock"]
        options += ["--volume", f"{self.state}:{self.state}", "--volume", f"{self.folder}:{self.folder}:ro"]
        options += ["--env", f"DEPLOYER_CONFIG={self.config}", "--env", f"DEPLOYER_PORT={self.port}"]
        docker("run", *options, self.image)
        wait_for("the receiver's answer", self._is_up, 30)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        if sign is signal.SIGKILL:
            docker("kill", self.name)
        else:
            docker("stop", self.name)
        self.log.write_text(docker("logs", self.name), encoding="utf-8")
        docker("rm", "-f", self.name)

    def health(self) -> str:
        """Returns the result of the image's own health check."""
        return docker("inspect", "--format", "{{.State.Health.Status}}", self.name).strip()

    def _is_up(self) -> bool:
        return self.get("/health")[0] == 200

    def _hand_over(self) -> None:
        """Gives the container's user the files that it must own or read."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o711)
        for path in (self.state, self.config, *self.folder.glob("*.secret"), self.folder / "shop.env"):
            os.chown(path, USER, USER)
