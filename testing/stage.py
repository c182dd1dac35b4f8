"""A deploy's whole surroundings on this machine: a repository, its runner, an OIDC issuer, GitHub's API, a
server.

The demo, the scenarios and the benchmarks share it. Only GitHub itself has a stand-in; engine, registry,
action and receiver are real. The server runs as users start it: `webhook_server.py` in its own process.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployer.core.images import Image
from testing.client import CANARIES, WORKFLOW, Calls
from testing.docker.docker_cli import ROOT, docker, free_port, remove_containers, wait_for
from testing.github.events import OWNER_ID, REPOSITORY, REPOSITORY_ID
from testing.github.git_server import GitServer, login_of
from testing.github.rest_api import GitHubServer
from testing.user_repository import SERVICES, Published, forget

__all__ = [
    "CANARIES",
    "REPOSITORY",
    "ROOT",
    "SERVICES",
    "Published",
    "Stage",
    "docker",
    "free_port",
    "remove_containers",
    "wait_for",
]
_START = 30.0


class Stage(Calls):
    """Context manager of one stage. `keep` leaves the server and its containers running; `witness` records
    the arguments of every process of the machine meanwhile, which takes a large part of a processor.
    """

    def __init__(
        self, *, keep: bool = False, project: str = "", witness: bool = False, trusts_tags: bool = True
    ) -> None:
        # Unix socket paths end at 107 bytes, and the engine must see this folder under the same path.
        folder = Path(tempfile.mkdtemp(prefix="dpl-", dir="/tmp"))
        self.project = project or f"shop-{folder.name[4:].lower().replace('_', 'x')}"
        super().__init__(folder, self.project)
        self.keep = keep
        self.web_port, self.api_port = free_port(), free_port()
        self.trusts_tags = trusts_tags
        self.server: subprocess.Popen[bytes] | None = None
        self.witness = witness
        self.arguments: set[bytes] = set()
        self._over = threading.Event()
        self.github = GitHubServer({REPOSITORY: self.source.folder}, token=CANARIES["github"])
        self.git = GitServer(folder / "git", login_of(CANARIES["registry"]))

    # Places

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def temporary(self) -> Path:
        """Returns the receiver's folder for temporary files."""
        return self.folder / "tmp"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    # Life

    def __enter__(self) -> Self:
        self.temporary.mkdir(mode=0o700)
        self.issuer.start()
        self.github.start()
        self.git.serve(REPOSITORY, self.source.folder)
        self.git.start()
        self.site = self.git.url
        if self.witness:
            threading.Thread(target=self._watch_processes, daemon=True).start()
        self._configure()
        self.serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self.keep and kind is None:
            return
        self.kill(signal.SIGTERM)
        remove_containers(self.project)
        self.github.stop()
        self.git.stop()
        self.issuer.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self) -> None:
        """Starts the receiver and waits until it answers."""
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, str(ROOT / "webhook_server.py")],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the receiver's answer", self._answers, _START)

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Kills the receiver and no other process."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(sign)
            self.server.wait(timeout=60)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"TMPDIR": str(self.temporary)}

    def reconfigure(self, old: str, new: str) -> None:
        """Changes the settings and restarts the receiver."""
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")
        self.kill(signal.SIGTERM)
        self.serve()

    def _watch_processes(self) -> None:
        while not self._over.wait(0.02):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):  # it may have ended
                        self.arguments.add((entry / "cmdline").read_bytes())

    def _answers(self) -> bool:
        if self.server and self.server.poll() is not None:
            raise AssertionError(f"the receiver ended at once:\n{self.log.read_text()[-2000:]}")
        return self.get("/health")[0] == 200

    def _configure(self) -> None:
        self.write_variables()
        for name in ("webhook", "github", "registry"):
            self._secret(name, CANARIES[name])
        self.config.write_text(
            f"""
[server]
url = "{self.url}"
listen = "127.0.0.1:{self.port}"
state = "{self.state}"

[oidc]
issuer = "{self.issuer.url}"

[registry]
host = "{self.registry}"

[github]
api = "{self.github.url}"
token-file = "{self.folder}/github.secret"

[apps.shop]
repository = "{REPOSITORY}"
repository-id = {REPOSITORY_ID}
owner-id = {OWNER_ID}
images = ["{self.namespace}/shop-*"]
webhook-secret-files = ["{self.folder}/webhook.secret"]

[apps.shop.environments.production]
project = "{self.project}"
workflow = "{WORKFLOW}"
trust-tags = {str(self.trusts_tags).lower()}
variables-file = "{self.folder}/shop.env"
url = "{self.web}"
""",
            encoding="utf-8",
        )

    def write_variables(self, **more: str) -> None:
        """Writes the server's variables of the environment."""
        variables = {
            "REGISTRY": self.namespace,
            "WEB_PORT": str(self.web_port),
            "API_PORT": str(self.api_port),
            "CORS_ORIGIN": CANARIES["variable"],
        } | more
        self._secret("shop.env", "".join(f"{name}={value}\n" for name, value in variables.items()), suffix="")

    def _secret(self, name: str, text: str, suffix: str = ".secret") -> None:
        path = self.folder / f"{name}{suffix}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    def publish(self, version: str) -> Published:
        """Builds and pushes a release of the work tree without the action; returns its digests."""
        return self.source.publish(version, self.namespace)

    def forget(self, image: Image) -> None:
        """Deletes an image from the registry."""
        forget(image)

    # Looking

    def serves(self) -> str:
        """Returns the version that the backend answers with, through the frontend, as a user sees it; empty
        without an answer.
        """
        try:
            with urllib.request.urlopen(f"{self.web}/api/version", timeout=5) as answer:
                return str(json.loads(answer.read())["version"])
        except (OSError, ValueError, KeyError):
            return ""

    def containers(self) -> list[dict[str, Any]]:
        """Returns the inspection of every container of the project, except those that are removed
        meanwhile.
        """
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        inspected = [self._inspected(id) for id in ids]
        return [details for details in inspected if details is not None]

    def _inspected(self, id: str) -> dict[str, Any] | None:
        try:
            found: list[dict[str, Any]] = json.loads(docker("inspect", id))
        except AssertionError as error:
            if "No such" in str(error):
                return None
            raise
        return found[0]
