"""What GitHub could not deliver while a real server was down: taken at its next start, and by `deployer
recover`. GitHub is a stand-in that is judged by its published API description; there is no engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from testing.docker.docker_cli import ROOT, wait_for
from testing.github.rest_api import GitHubServer
from testing.github.webhook_deliveries import Hook
from testing.receiver.receiver_inputs import run_payload
from testing.receiver.receiver_process import SECRET, Server, repository_id

TOKEN = "canary-token-0815"


@pytest.fixture
def stand_in() -> Iterator[GitHubServer]:
    with GitHubServer({"acme/app-0": {}}, token=TOKEN) as github:
        yield github
        assert github.breaches == []


def knows(server: Server, stand_in: GitHubServer) -> None:
    """Before the first start: the settings name GitHub."""
    secret = server.folder / "github.secret"
    secret.write_text(TOKEN, encoding="ascii")
    secret.chmod(0o600)
    with (server.folder / "config.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'[github]\napi = "{stand_in.url}"\ntoken-file = "{secret}"\n')
    stand_in.hooks = [Hook(7, f"http://127.0.0.1:{server.port}/webhook", SECRET, "acme/app-0")]


def send(stand_in: GitHubServer, number: int) -> int:
    """GitHub's one attempt; 0 where nobody answers."""
    id = repository_id(0)
    payload = run_payload(repository_id=id, head_repository={"id": id}, run_number=number)
    return stand_in.hooks[0].send("workflow_run", payload)


def looks(server: Server) -> float:
    return float(server.value("SELECT coalesce(max(at), 0) FROM looked"))


def runs(server: Server) -> list[int]:
    with server.database() as opened:
        return [row[0] for row in opened.execute("SELECT run_number FROM deployment ORDER BY seq")]


def test_what_came_while_the_server_was_down_is_taken_at_its_start_and_by_command(
    stand_in: GitHubServer,
) -> None:
    with Server(1, ready=partial(knows, stand_in=stand_in)) as server:
        wait_for("the first look", lambda: looks(server) > 0, 60)
        assert send(stand_in, 1) == 202
        server.end()
        assert [send(stand_in, 2), send(stand_in, 3)] == [0, 0]
        seen = looks(server)
        server.start()
        wait_for("the look at the start", lambda: looks(server) > seen, 60)
        assert runs(server) == [1, 2, 3]

        server.end()
        assert send(stand_in, 4) == 0
        recover = partial(
            subprocess.run,
            [sys.executable, "-m", "deployer", "recover"],
            env={**os.environ, "DEPLOYER_CONFIG": str(server.folder / "config.toml")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        done = recover()
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("queued ") and "1 missed deliveries were taken" in done.stdout
        assert "0 missed deliveries were taken" in recover().stdout
        assert runs(server) == [1, 2, 3, 4]
        assert TOKEN not in done.stdout + done.stderr + server.log
