"""The stand-in for GitHub's runner judges as GitHub does, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.docker.docker_cli import ROOT
from testing.github.act import EXAMPLE, copy_release, workflow_text
from testing.github.action_runner import BadCommandFile, RunResult, read_pairs, run_action
from testing.github.expressions import Known, Loose, UnknownExpression, condition, evaluate, interpolate

FUNCTIONS = {
    "always": lambda: True,
    "success": lambda: True,
    "failure": lambda: False,
    "cancelled": lambda: False,
}
CONTEXTS = Known(
    inputs=Known({"test-command": "", "server": "S"}),
    steps=Known(a=Known(outputs=Loose(mode="build"), outcome="")),
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.a.outputs.mode == 'build' || steps.a.outputs.mode == 'deploy'", True),
        ("steps.a.outputs.mode == 'BUILD'", True),
        ("steps.a.outputs.mode != 'skip' && !failure()", True),
        ("steps.a.outputs.none", ""),
        ("inputs.test-command || 'default'", "default"),
        ("inputs.server && 'given' || 'none'", "given"),
        ("(true || false) && false", False),
        ("true || false && false", True),
        ("'it''s'", "it's"),
        ("!inputs.test-command", True),
        ("null", None),
        ("1 == 1", True),
    ],
)
def test_an_expression_has_githubs_value(expression: str, value: Any) -> None:
    assert evaluate(expression, CONTEXTS, FUNCTIONS) == value


@pytest.mark.parametrize(
    "expression",
    [
        "inputs.absent", "secrets.TOKEN", "steps.nope.outputs.x", "contains('a', 'b')", "inputs.server = 'S'",
        "1 < 2", "'open", "(true", "true true", "", "inputs.server.deeper", "1 == '1'", "always", "a b",
    ],
)  # fmt: skip
def test_what_is_not_known_is_an_error(expression: str) -> None:
    with pytest.raises(UnknownExpression):
        interpolate(f"x${{{{ {expression} }}}}", CONTEXTS, FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "failed", "runs"),
    [
        ("inputs.server == 'S'", False, True),
        ("inputs.server == 'S'", True, False),
        ("always()", True, True),
        ("failure()", True, True),
        ("${{ always() && inputs.server == 'T' }}", True, False),
        ("${{ inputs.server }}", False, True),
    ],
)
def test_a_condition_without_a_status_function_needs_success(text: str, failed: bool, runs: bool) -> None:
    functions = {**FUNCTIONS, "success": lambda: not failed, "failure": lambda: failed}
    assert condition(text, CONTEXTS, functions) is runs


@pytest.mark.parametrize("text", ["no separator", "a<<EOF\nx", "a<<EOF\nx\nEOFX"])
def test_a_malformed_command_file_is_refused(text: str) -> None:
    with pytest.raises(BadCommandFile):
        read_pairs(text)


def play(folder: Path, *steps: dict[str, Any], **inputs: str) -> RunResult:
    action = {
        "inputs": {"name": {"default": "${{ github.actor }}"}},
        "outputs": {"told": {"value": "${{ steps.a.outputs.told }}"}},
        "runs": {"using": "composite", "steps": [{"name": "n", "shell": "bash", **step} for step in steps]},
    }
    (folder / "action.yml").write_text(yaml.safe_dump(action))
    return run_action(folder, folder, "push", {}, "refs/heads/main", "a" * 40, inputs, {}, folder / "temp")


def test_steps_share_outputs_and_environment_and_stop_at_a_failure(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        {"id": "a", "run": 'echo "told=$NAME" >>"$GITHUB_OUTPUT"\necho X=1 >>"$GITHUB_ENV"',
         "env": {"NAME": "${{ inputs.name }}"}},
        {"id": "b", "run": 'test "$X" = 1 && false | true\necho not reached'},
        {"id": "c", "run": "echo never"},
        {"id": "d", "if": "always()", "run": 'echo "$OUT" >>"$GITHUB_STEP_SUMMARY"',
         "env": {"OUT": "${{ steps.a.outputs.told }}"}},
    )  # fmt: skip
    assert {id: step.outcome for id, step in result.steps.items()} == {
        "a": "success", "b": "failure", "c": "skipped", "d": "success",
    }  # fmt: skip
    assert (result.outcome, result.outputs, result.summary) == ("failure", {"told": "dev"}, "dev\n")
    assert "reached" not in result.log


def test_inputs_are_not_in_the_environment_and_printed_commands_are_obeyed(tmp_path: Path) -> None:
    script = "env | grep -c ^INPUT_ || true\necho '::set-output name=told::forged'\n"
    script += "echo '::add-mask::hush'\necho hush"
    result = play(tmp_path, {"id": "a", "run": script}, name="given")
    assert result.outputs == {"told": "forged"}
    assert result.log == "0\n***\n"


@pytest.mark.parametrize("step", [{"run": "echo ${{ inputs.name }}"}, {"run": "true", "uses": "x"}])
def test_a_step_of_a_kind_not_known_is_an_error(tmp_path: Path, step: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="step n has"):
        play(tmp_path, step)


def test_an_input_that_is_not_declared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other"):
        play(tmp_path, {"run": "true"}, other="x")


def test_the_example_becomes_a_workflow_for_act_with_nothing_else_changed() -> None:
    text = workflow_text({"server": "http://127.0.0.1:1", "registry": "127.0.0.1:5000"})
    job, example = (
        yaml.safe_load(one)["jobs"]["deploy"] for one in (text, EXAMPLE.read_text(encoding="utf-8"))
    )
    ours, theirs = job["steps"], example["steps"]
    assert {**job, "steps": []} == {**example, "steps": []} and len(theirs) == 1, "one step does it all"
    assert ours[0]["with"] == {"server": "http://127.0.0.1:1", "registry": "127.0.0.1:5000"}
    assert (ours[0]["uses"], ours[0]["name"]) == ("acme/deploy@v1", theirs[0]["name"])
    assert ours[1]["if"] == "always()" and len(ours) == 2


def test_a_release_holds_the_files_that_git_keeps(tmp_path: Path) -> None:
    release = copy_release(ROOT, tmp_path / "release")
    assert (release / "action.yml").read_bytes() == (ROOT / "action.yml").read_bytes()
    assert not (release / ".venv").exists() and not (release / ".git").exists()
