"""One workflow run in a temporary folder; verbs run as the action runs them: a bare Python of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testing.github.action_runner import read_pairs
from testing.github.workflow_commands import Console
from testing.receiver.scripted_receiver import DeployApi

ROOT = Path(__file__).resolve().parents[2]
SHA = "c" * 40
COMPOSE = "services:\n  web:\n    build: .\n    env_file: app.env\n"


@dataclass(frozen=True)
class Step:
    """What one verb left. `console` has read its output as GitHub's runner does."""

    code: int
    raw: str
    errors: str
    outputs: Mapping[str, str]
    summary: str
    console: Console

    @property
    def log(self) -> str:
        return "\n".join(self.console.lines)

    @property
    def error(self) -> str:
        """The one `::error` of a failed verb."""
        (found,) = [one for one in self.console.annotations if one.kind == "error"]
        return found.text


@dataclass
class Workflow:
    """One run: checkout, environment, event."""

    folder: Path
    env: dict[str, str]
    event: dict[str, Any] = field(default_factory=lambda: {"head_commit": {"message": "work"}})

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def state(self) -> Path:
        return self.folder / "temp" / f"deployer-{self.env['GITHUB_RUN_ID']}"

    def verb(self, verb: str, **inputs: str) -> Step:
        """Runs one verb to its end."""
        with self.start(verb, **inputs) as child:
            out, err = child.communicate(timeout=120)
        console = Console()
        for line in out.decode("utf-8").split("\n"):
            console.read(line)
        output, summary = (self.folder / name for name in ("output", "summary"))
        pairs = read_pairs(output.read_text(encoding="utf-8"))
        return Step(child.returncode, out.decode(), err.decode(), pairs, summary.read_text("utf-8"), console)

    def start(self, verb: str, **inputs: str) -> subprocess.Popen[bytes]:
        (self.folder / "event.json").write_text(json.dumps(self.event), encoding="utf-8")
        files = {}
        for name in ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH", "STATE"):
            file = self.folder / name.lower().removeprefix("step_")
            file.write_text("")
            files[f"GITHUB_{name}"] = str(file)
        given = {f"DEPLOYER_INPUT_{name.upper()}": value for name, value in inputs.items()}
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(ROOT / "deployer" / "ci"), verb],
            cwd=self.workspace,
            env={**self.env, **files, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def keep(self, name: str, value: object) -> None:
        """Lays a state file down as an earlier verb would have."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
        if name == "decision" and isinstance(value, dict):
            self.env["DEPLOYER_DECIDED_MODE"] = str(value.get("mode", ""))

    def done(self, *verbs: str) -> None:
        self.keep("verdicts", {verb: {"done": True, "reason": "", "seconds": 1.0} for verb in verbs})


def git(folder: Path, *words: str) -> str:
    """git without anybody's settings."""
    argv = ["git", "-C", str(folder), "-c", "user.name=dev", "-c", "user.email=dev@example.com", *words]
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=quiet).stdout.strip()


def commit_all(folder: Path) -> str:
    """The folder as a repository with one commit; gives the commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "work")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def run(tmp_path: Path) -> Workflow:
    """A push to main of a repository with compose.yaml and app.env."""
    made = Workflow(tmp_path, {})
    made.workspace.mkdir()
    (made.workspace / "compose.yaml").write_text(COMPOSE)
    (made.workspace / "app.env").write_text("A=1\n")
    (tmp_path / "temp").mkdir()
    made.env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": SHA,
        "GITHUB_REPOSITORY": "Acme/Shop",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_ACTOR": "dev",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_NUMBER": "12",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_WORKSPACE": str(made.workspace),
    }
    return made


@pytest.fixture
def api() -> Iterator[DeployApi]:
    with DeployApi() as made:
        yield made
