"""The action on act, an independent implementation of GitHub's runner. In: the arguments of
`runner.run_action`. Out: the same result.

The workflow is the example that users copy, with the stage's server address. This module only compensates
act's differences from GitHub: its own variables, and one set of command files for all steps.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from testing.docker.docker_cli import ROOT
from testing.github.action_runner import RunResult, StepResult
from testing.github.workflow_commands import Annotation

EXAMPLE = ROOT / "examples" / "workflows" / "minimal.yml"
_ACTION, _ID = "acme/deploy@v1", "ship"
_LABEL = "ubuntu-24.04"
# act gives each step a terminal and may lose the end of its output; without a terminal it uses a pipe.
_NO_TERMINAL = (
    "unshare", "-m", "--propagation", "private",
    "sh", "-c", 'mount --bind /dev/null /dev/ptmx && exec "$@"', "sh",
)  # fmt: skip
_LAST_STEP = """
      - name: Keep the outputs
        if: always()
        run: printf '%s' "$OUTPUTS" >"$OUTPUTS_FILE"
        env:
          OUTPUTS: ${{ toJSON(steps.ship.outputs) }}
"""


def run_with_act(
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
    """Runs the example workflow once, in an empty folder; `workspace` is a work tree of that commit."""
    temp.mkdir(parents=True, exist_ok=True)
    workflow, event_file, outputs = (temp / name for name in ("deploy.yml", "event.json", "outputs.json"))
    workflow.write_text(workflow_text(inputs), encoding="utf-8")
    event_file.write_text(json.dumps(event), encoding="utf-8")
    release = copy_release(action_dir, temp / "action")
    given = {**env, "GITHUB_REF": ref, "GITHUB_SHA": sha, "OUTPUTS_FILE": str(outputs)}
    files = ["-W", str(workflow), "-e", str(event_file), "--local-repository", f"{_ACTION}={release}"]
    records = list(_run([event_name, *files, *_variables(given)], workspace, temp, token))
    if say:
        for record in records:
            say(str(record.get("msg", "")).rstrip("\n"))
    return _result(records, json.loads(outputs.read_text(encoding="utf-8") or "{}"), release)


def workflow_text(inputs: Mapping[str, str]) -> str:
    """Returns the example with these inputs, and with one more step that stores the action's outputs."""
    text = EXAMPLE.read_text(encoding="utf-8")
    head, found, _ = text.partition("        uses: acme/deployer@")
    assert found, f"{EXAMPLE} does not use the action"
    given = "".join(f"          {name}: {json.dumps(value)}\n" for name, value in inputs.items())
    return f"{head}        id: {_ID}\n        uses: {_ACTION}\n        with:\n{given}{_LAST_STEP}"


def copy_release(source: Path, target: Path) -> Path:
    """Copies the files of a release alone: tracked files and new ones, as a tag would have them."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
    return target


def act_command() -> str:
    """Returns the path of act, which `script/tools` installs. A missing act is a failure, not a reason to
    skip.
    """
    done = subprocess.run([ROOT / "script" / "tools", "where"], check=True, capture_output=True, text=True)
    path = Path(done.stdout.strip()) / "bin" / "act"
    assert path.exists(), "there is no act: run script/tools"
    return str(path)


def _variables(given: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        if name not in ("PATH", "HOME"):
            yield from ("--env", f"{name}={value}")


def _run(words: Sequence[str], workspace: Path, temp: Path, token: str) -> Iterator[dict[str, Any]]:
    quiet = ["--no-cache-server", "--action-offline-mode", "--rm", "--container-daemon-socket", "-"]
    chosen = ["--env-file", "/dev/null", "-P", f"{_LABEL}=-self-hosted", "-s", "GITHUB_TOKEN", "--json"]
    wrapper = _NO_TERMINAL if os.geteuid() == 0 else ()
    done = subprocess.run(
        [*wrapper, act_command(), *words, *quiet, *chosen],
        cwd=workspace,
        env={**os.environ, "HOME": str(temp), "GITHUB_TOKEN": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )
    records = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    # For example, with an unknown label act skips the job and succeeds.
    assert any("jobResult" in record for record in records), done.stderr.decode()[-2000:]
    return iter(records)


def _result(records: Sequence[Mapping[str, Any]], outputs: Mapping[str, str], release: Path) -> RunResult:
    ours = [record for record in records if (record.get("stepID") or [""])[0] == _ID]
    inner = [record for record in ours if len(record["stepID"]) > 1]
    names = [step["id"] for step in yaml.safe_load((release / "action.yml").read_text())["runs"]["steps"]]
    ends = {record["stepID"][1]: record["stepResult"] for record in inner if "stepResult" in record}
    (job,) = [record["jobResult"] for record in records if "jobResult" in record]
    return RunResult(
        outcome=job,
        outputs=outputs,
        log="".join(_lines(inner)),
        summary="".join(record["content"] for record in inner if record.get("command") == "summary"),
        steps={name: StepResult(ends.get(name, "skipped"), _outputs(inner, name)) for name in names},
        annotations=tuple(
            Annotation(record["command"], (record.get("kvPairs") or {}).get("title", ""), record["arg"])
            for record in inner
            if record.get("command") in ("error", "warning", "notice")
        ),
    )


def _lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (str(record["msg"]) for record in records if record.get("raw_output"))


def _outputs(records: Sequence[Mapping[str, Any]], step: str) -> dict[str, str]:
    return {
        record["name"]: record["arg"]
        for record in records
        if record["stepID"][1] == step and record.get("command") == "set-output"
    }
