"""The receiver as a process of its own: how it starts, and how a signal ends it in time."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.system.file_lock import hold
from deployer.core.model import Run
from testing.docker.docker_cli import ROOT, free_port, wait_for
from testing.github.oidc_issuer import Issuer
from testing.github.rest_api import GitHubServer
from testing.receiver.receiver_inputs import REVISION, URL, deploy_request, encoded
from testing.receiver.unconfined import UNCONFINED, install_compose

DOCKER_KILLS_AFTER = 10.0


@dataclass
class Process:
    """One receiver; its `docker` command does what `docker` says, in place of a deploy's real work."""

    folder: Path
    issuer: Issuer
    github: GitHubServer
    compose: str = "exec sleep 300"
    verb: str = "serve"
    store: str = ""
    port: int = field(default_factory=free_port)
    child: subprocess.Popen[bytes] | None = None
    environment: str = "{}"  # its table of settings

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Starts it, without waiting for anything."""
        install_compose(self.folder, f"echo $$ >> {self.folder}/children\n{self.compose}\n")
        (self.folder / "github.secret").write_text("a-token-for-github", encoding="utf-8")
        (self.folder / "github.secret").chmod(0o600)
        (self.folder / "config.toml").write_text(
            f"""
[server]
url = "{URL}"
listen = "127.0.0.1:{self.port}"
state = "{self.state}"
store = "{self.store or self.state}"
[oidc]
issuer = "{self.issuer.url}"
[github]
api = "{self.github.url}"
token-file = "{self.folder}/github.secret"
[apps.shop]
repository = "acme/shop"
repository-id = 4711
owner-id = 42
environments.production = {self.environment}
""",
            encoding="utf-8",
        )
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_CONFIG": str(self.folder),
            "DEPLOYER_CONFIG": str(self.folder / "config.toml"),
            "DOCKER_HOST": f"unix://{self.folder}/no-engine.sock",
        }
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, *self.program], env=environment, cwd=ROOT, stdout=log, stderr=log
            )

    @property
    def program(self) -> list[str]:
        return [UNCONFINED, "webhook_server"] if self.verb == "serve" else [UNCONFINED, "deployer", self.verb]

    def tell(self, sign: signal.Signals) -> None:
        assert self.child
        self.child.send_signal(sign)

    def wait(self) -> int:
        assert self.child
        return self.child.wait(timeout=30)

    def end(self) -> None:
        """Nothing of it is left, also where a test failed."""
        if self.child and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        children = self.folder / "children"
        for pid in children.read_text().split() if children.exists() else ():
            if (cmdline := Path(f"/proc/{pid}/cmdline")).exists() and b"sleep" in cmdline.read_bytes():
                os.kill(int(pid), signal.SIGKILL)

    def answers(self) -> bool:
        assert self.child and self.child.poll() is None, self.log
        try:
            return self.call("GET", "/health")[0] == 200
        except OSError:
            return False

    def call(self, method: str, path: str, body: bytes = b"", bearer: str = "") -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, body, {"Authorization": f"Bearer {bearer}"})
        answer = connection.getresponse()
        table: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return answer.status, table

    def request(self, run: int) -> dict[str, Any]:
        """The answer to the action's deploy request."""
        raw, audience = encoded(deploy_request(run=Run(run, 1)))
        minted = self.issuer.mint(audience, run_number=str(run))
        status, answer = self.call("POST", "/api/v1/deployments", raw, minted)
        assert status == 202, answer
        return answer

    def record(self, id: str) -> tuple[str, int]:
        """A deployment's status and attempts in the database."""
        with sqlite3.connect(f"file:{self.state}/deployer.db?mode=ro", uri=True) as database:
            found: tuple[str, int] = database.execute(
                "SELECT status, attempts FROM deployment WHERE id = ?", (id,)
            ).fetchone()
            return found


@pytest.fixture
def process() -> Iterator[Process]:
    with (
        tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp") as folder,  # a socket's path must be short
        Issuer() as issuer,
        GitHubServer({"acme/shop": {REVISION: {}}}, token="a-token-for-github") as github,
    ):
        made = Process(Path(folder), issuer, github)
        yield made
        made.end()
        github.mend()


def started(process: Process) -> Process:
    process.start()
    wait_for("the receiver's answer", process.answers, 20)
    return process


def running(process: Process) -> dict[str, Any]:
    """The answer to a request whose deploy is at work in a child that does not end."""
    answer = process.request(1)
    wait_for("the deploy's child", (process.folder / "children").exists, 20)
    return answer


def opened(process: Process, answer: dict[str, Any]) -> http.client.HTTPResponse:
    """The deployment's open stream, with its first line read."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=20)
    headers = {"Authorization": f"Bearer {answer['read_token']}"}
    connection.request("GET", f"/api/v1/deployments/{answer['id']}/events", headers=headers)
    stream = connection.getresponse()
    assert stream.readline() == b"retry: 2000\n"
    return stream


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.monotonic()
    return act(), time.monotonic() - begun


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_receiver_ends_at_once_and_well(process: Process, sign: signal.Signals) -> None:
    started(process).tell(sign)
    code, took = timed(process.wait)
    assert (code, took < 5) == (0, True), (code, took)
    assert '"message": "stopping"' in process.log
    assert "still running" not in process.log and "Traceback" not in process.log


@pytest.mark.case("F08", "F09")
def test_with_a_deploy_a_stream_and_a_silent_github_it_ends_before_docker_kills_it(process: Process) -> None:
    process.github.break_with("hang")
    answer = running(started(process))
    stream = opened(process, answer)
    process.tell(signal.SIGTERM)
    begun = time.monotonic()
    stream.read()
    ended_after = time.monotonic() - begun
    later = process.request(2)
    code = process.wait()
    took = time.monotonic() - begun
    assert code == 0
    assert ended_after < 2, f"the stream ended after {ended_after:.1f} s"
    assert 5 < took < DOCKER_KILLS_AFTER - 1, f"the receiver ended after {took:.1f} s"
    log = process.log
    assert log.index('"message": "stopping"') < log.index(
        "a deployment is still running; the next start resumes"
    )
    assert "Traceback" not in log
    assert process.record(answer["id"]) == ("in_progress", 1)
    assert process.record(later["id"]) == ("queued", 0), "what came while it stopped was stored, not begun"


@pytest.mark.case("F08")
def test_the_next_start_serves_at_once_and_resumes_what_was_running(process: Process) -> None:
    answer = running(started(process))
    process.tell(signal.SIGTERM)
    assert process.wait() == 0
    process.compose = "exit 1"
    process.end()  # the deploy's child, which would hold the project's lock
    started(process)
    wait_for("the end", lambda: process.record(answer["id"])[0] not in ("queued", "in_progress"), 30)
    assert process.record(answer["id"])[1] == 2


@pytest.mark.case("F08")
def test_a_deploy_that_ends_in_time_is_recorded_and_github_hears_of_it(process: Process) -> None:
    process.compose = "sleep 2; exit 1"
    answer = running(started(process))
    process.tell(signal.SIGTERM)
    code, took = timed(process.wait)
    assert (code, took < DOCKER_KILLS_AFTER - 1) == (0, True), (code, took)
    assert process.record(answer["id"]) == ("failure", 1)
    assert "still running" not in process.log
    (told,) = process.github.deployments("acme/shop")
    assert [one["state"] for one in process.github.statuses(told["id"])] == ["in_progress", "failure"]


def test_a_signal_before_anything_was_started_ends_it_too(process: Process) -> None:
    with hold(process.state / "worker.lock"):  # as the receiver before does that is still ending
        process.start()
        wait_for("the wait for the lock", (process.state / "deployer.db").exists, 20)
        time.sleep(0.3)  # it has nothing else to do now than to wait; the test holds at any moment
        process.tell(signal.SIGTERM)
        code, took = timed(process.wait)
    assert (code, took < 5) == (0, True), (code, took)
    assert "stopping" in process.log and "Traceback" not in process.log


def test_an_address_that_is_taken_is_said(process: Process) -> None:
    started(process)
    second = Process(process.folder, process.issuer, process.github, port=process.port)
    text = (process.folder / "config.toml").read_text(encoding="utf-8")
    other = text.replace(str(process.state), f"{process.folder}/other")
    (process.folder / "other.toml").write_text(other, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "deployer", "--config", process.folder / "other.toml", "serve"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{second.port}" in done.stderr and "Traceback" not in done.stderr
