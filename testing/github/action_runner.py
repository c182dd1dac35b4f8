"""A composite action as GitHub runs it. In: the action's folder, a workspace, an event. Out: `RunResult`.

It reads the shipped action.yml and runs its steps with bash: conditions, contexts, command files for each
step, outputs evaluated at the end also after a failure. An unknown key is an error, so that a difference from
GitHub shows. Sources: actions/runner CompositeActionHandler, ScriptHandlerHelpers, ActionCommandManager.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from testing.github.expressions import Functions, Known, Loose, condition, interpolate
from testing.github.workflow_commands import Annotation, Console

_SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]}
_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
_KEYS = {"name", "id", "if", "shell", "run", "env"}
_HEREDOC = re.compile(r"([^=\n]+?)<<(.+)")
_GITHUB = (
    "actor",
    "event_name",
    "ref",
    "repository",
    "run_id",
    "run_number",
    "run_attempt",
    "server_url",
    "sha",
)


class BadCommandFile(Exception):
    """A step wrote a command file that the runner would refuse."""


@dataclass(frozen=True)
class StepResult:
    """Result of one step: `success`, `failure` or `skipped`."""

    outcome: str
    outputs: Mapping[str, str]
    seconds: float = 0.0


@dataclass(frozen=True)
class RunResult:
    """Result of the action, with its outputs, log and files."""

    outcome: str
    outputs: Mapping[str, str]
    log: str
    summary: str
    steps: Mapping[str, StepResult]
    annotations: tuple[Annotation, ...]


@dataclass
class _Job:
    """State that changes while steps run."""

    env: dict[str, str]
    console: Console
    failed: bool = False
    summary: str = ""
    steps: dict[str, StepResult] = field(default_factory=dict)

    @property
    def functions(self) -> Functions:
        return {
            "always": lambda: True,
            "success": lambda: not self.failed,
            "failure": lambda: self.failed,
            "cancelled": lambda: False,
        }


def run_action(
    action_dir: Path,
    workspace: Path,
    event_name: str,
    event: Mapping[str, Any],
    ref: str,
    sha: str,
    inputs: Mapping[str, str],
    env: Mapping[str, str],
    temp: Path,
    *,
    token: str = "ghs_stand-in-token",
    say: Callable[[str], None] | None = None,
) -> RunResult:
    """Runs the action once. `env` is the job's environment, with DOCKER_HOST and similar variables."""
    action = yaml.safe_load((action_dir / "action.yml").read_text(encoding="utf-8"))
    temp.mkdir(parents=True, exist_ok=True)
    event_file = temp / f"event-{uuid.uuid4().hex}.json"
    event_file.write_text(json.dumps(event), encoding="utf-8")
    given = {
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(event_file),
        "GITHUB_REF": ref,
        "GITHUB_SHA": sha,
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_ACTION_PATH": str(action_dir),
        "RUNNER_TEMP": str(temp),
    }
    job = _Job({**_defaults(event), **env, **given}, Console(say=say))
    github = Known({name: job.env[f"GITHUB_{name.upper()}"] for name in _GITHUB}, token=token)
    job.console.masks.append(token)
    contexts = Known(github=github)
    contexts["inputs"] = _inputs(action, inputs, contexts, job.functions)
    _run_steps(action["runs"]["steps"], job, contexts, temp)
    outputs = {
        name: interpolate(output["value"], contexts, job.functions)
        for name, output in action["outputs"].items()
    }
    outcome = "failure" if job.failed else "success"
    log = "".join(f"{line}\n" for line in job.console.lines)
    return RunResult(outcome, outputs, log, job.summary, job.steps, tuple(job.console.annotations))


def _defaults(event: Mapping[str, Any]) -> dict[str, str]:
    repository = event.get("repository") or {}
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": str((event.get("sender") or {}).get("login", "dev")),
        "GITHUB_REPOSITORY": str(repository.get("full_name", "acme/shop")),
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_NUMBER": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SERVER_URL": "https://github.com",
    }


def _inputs(
    action: Mapping[str, Any], given: Mapping[str, str], contexts: Known, functions: Functions
) -> Known:
    unknown = given.keys() - action["inputs"].keys()
    if unknown:
        raise ValueError(f"action.yml has no inputs {sorted(unknown)}")
    defaults = {
        name: interpolate(str(spec.get("default", "")), contexts, functions)
        for name, spec in action["inputs"].items()
    }
    return Known({**defaults, **given})


def _run_steps(steps: list[dict[str, Any]], job: _Job, contexts: Known, temp: Path) -> None:
    contexts["steps"] = Known(
        {step["id"]: Known(outputs=Loose(), outcome="") for step in steps if "id" in step}
    )
    for step in steps:
        if set(step) - _KEYS:
            raise ValueError(f"step {step.get('name')} has keys unknown here: {sorted(set(step) - _KEYS)}")
        result = StepResult("skipped", {})
        if condition(str(step.get("if", "success()")), contexts, job.functions):
            begun = time.monotonic()
            result = _run_step(step, job, contexts, temp)
            result = replace(result, seconds=time.monotonic() - begun)
        job.failed = job.failed or result.outcome == "failure"
        if "id" in step:
            job.steps[step["id"]] = result
            contexts["steps"][step["id"]] = Known(outputs=Loose(result.outputs), outcome=result.outcome)


def _run_step(step: Mapping[str, Any], job: _Job, contexts: Known, temp: Path) -> StepResult:
    folder = temp / f"step-{uuid.uuid4().hex}"
    folder.mkdir()
    files = {name: folder / name for name in _FILES}
    for file in files.values():
        file.touch()
    own = {
        name: interpolate(str(text), contexts, job.functions)
        for name, text in (step.get("env") or {}).items()
    }
    job.console.begin()
    code = _execute(
        step, {**job.env, **own, **{name: str(file) for name, file in files.items()}}, job, folder
    )
    try:
        outputs = {**job.console.outputs, **read_pairs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))}
        job.env.update(read_pairs(files["GITHUB_ENV"].read_text(encoding="utf-8")))
    except BadCommandFile as error:
        job.console.read(f"::error::{error}")
        return StepResult("failure", {})
    for entry in files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines():
        job.env["PATH"] = f"{entry}:{job.env['PATH']}"
    job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    return StepResult("failure" if code else "success", outputs)


def _execute(step: Mapping[str, Any], env: Mapping[str, str], job: _Job, folder: Path) -> int:
    if "${{" in step["run"]:
        raise ValueError(f"step {step['name']} has an expression in its script")
    script = folder / "script.sh"
    script.write_text(step["run"], encoding="utf-8")
    argv = [*_SHELLS[step["shell"]], str(script)]
    with subprocess.Popen(
        argv,
        cwd=env["GITHUB_WORKSPACE"],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            job.console.read(line.decode("utf-8", "replace").rstrip("\r\n"))
        return child.wait()


def read_pairs(text: str) -> dict[str, str]:
    """Parses `k=v` and `k<<DELIMITER` records. Raises BadCommandFile."""
    pairs: dict[str, str] = {}
    lines = (line.rstrip("\r") for line in text.split("\n"))
    for line in lines:
        heredoc = _HEREDOC.fullmatch(line)
        if heredoc:
            pairs[heredoc.group(1)] = "\n".join(_until(lines, heredoc.group(2)))
        elif "=" in line:
            name, _, value = line.partition("=")
            pairs[name] = value
        elif line:
            raise BadCommandFile(f"Invalid format '{line}'")
    return pairs


def _until(lines: Any, delimiter: str) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line == delimiter:
            return found
        found.append(line)
    raise BadCommandFile(f"Matching delimiter not found '{delimiter}'")
