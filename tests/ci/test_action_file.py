"""action.yml and the code agree: inputs, outputs, steps. What a linter finds, it finds here too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.ci.verbs import VERBS
from tests.ci.conftest import ROOT, Workflow

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "deployer" / "ci").glob("*.py"))
EXAMPLE = ROOT / "examples" / "workflows" / "minimal.yml"
USED = re.compile(r"inputs\.([\w-]+)")


def variable(name: str) -> str:
    return f"DEPLOYER_INPUT_{name.upper().replace('-', '_')}"


def test_every_input_is_used_and_every_used_one_is_declared() -> None:
    used = {name for step in STEPS for text in step.get("env", {}).values() for name in USED.findall(text)}
    assert used == set(ACTION["inputs"])


def test_every_variable_is_the_input_of_its_name_and_is_read_by_the_code() -> None:
    for step in STEPS:
        for name, text in step.get("env", {}).items():
            if text != "${{ github.token }}":
                (input_name,) = USED.findall(text)
                assert (name, text) == (variable(input_name), f"${{{{ inputs.{input_name} }}}}")
    read = set(re.findall(r'(?:input_text|branch)\("([\w-]+)"\)', CODE))
    assert read == set(ACTION["inputs"]) | {"github-token"}


def test_each_step_runs_one_verb_with_nothing_written_into_the_script() -> None:
    assert [step["id"] for step in STEPS] == list(VERBS)
    for step in STEPS:
        assert step["run"] == f'python3 -I "$GITHUB_ACTION_PATH/deployer/ci" {step["id"]}'
        assert step["shell"] == "bash"
        assert step["name"]
        assert "uses" not in step


def test_conditions_let_nothing_leave_the_runner_but_by_mode() -> None:
    mode = "steps.decide.outputs.mode"
    assert {step["id"]: step.get("if", "") for step in STEPS} == {
        "decide": "",
        "build": f"{mode} != 'skip'",
        "test": f"{mode} != 'skip'",
        "push": f"{mode} == 'build' || {mode} == 'deploy'",
        "deploy": f"{mode} == 'deploy'",
        "report": "always()",
    }


def test_secrets_reach_only_the_steps_that_need_them() -> None:
    for step in STEPS:
        has = {name for name in step.get("env", {}) if name.endswith(("PASSWORD", "TOKEN"))}
        assert bool(has) == (step["id"] in ("push", "deploy"))


def test_every_output_comes_from_a_key_that_the_last_step_writes(run: Workflow) -> None:
    written = run.verb("report").outputs
    assert {name: output["value"] for name, output in ACTION["outputs"].items()} == {
        name: f"${{{{ steps.report.outputs.{name} }}}}" for name in written
    }


def test_every_input_is_described_and_has_a_default() -> None:
    for name, spec in ACTION["inputs"].items():
        assert spec["description"], name
        assert isinstance(spec["default"], str), name
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)


def test_the_example_uses_only_inputs_that_there_are() -> None:
    steps = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["jobs"]["deploy"]["steps"]
    (given,) = [step["with"] for step in steps if "deployer@" in step["uses"]]
    assert set(given) <= set(ACTION["inputs"])


@pytest.mark.parametrize("file", [ROOT / "action.yml", EXAMPLE], ids=lambda file: str(file.name))
def test_zizmor_finds_nothing(file: Path) -> None:
    argv = ["--offline", "--strict-collection", "--persona", "auditor", "--no-progress", "--format", "plain"]
    ended = subprocess.run([tool("zizmor"), *argv, file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("schema", "file"), [("vendor.github-actions", ROOT / "action.yml"), ("vendor.github-workflows", EXAMPLE)]
)
def test_the_schema_holds(schema: str, file: Path) -> None:
    argv = [tool("check-jsonschema"), "--builtin-schema", schema, str(file)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def tool(name: str) -> str:
    """A command of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)
