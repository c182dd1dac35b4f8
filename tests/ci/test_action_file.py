"""action.yml and the code agree: inputs, outputs, steps. What a linter finds, it finds here too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.ci.main import VERBS
from tests.ci.conftest import ROOT, Workflow

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "deployer" / "ci").rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
USED = re.compile(r"inputs\.([\w-]+)")


def variable(name: str) -> str:
    return f"DEPLOYER_INPUT_{name.upper().replace('-', '_')}"


def test_every_input_is_used_and_every_used_one_is_declared() -> None:
    used = {name for step in STEPS for text in step.get("env", {}).values() for name in USED.findall(text)}
    assert used == set(ACTION["inputs"])


def test_every_variable_is_the_input_of_its_name_and_is_read_by_the_code() -> None:
    for step in STEPS:
        for name, text in step.get("env", {}).items():
            if text not in ("${{ github.token }}", "${{ steps.decide.outputs.mode }}"):
                (input_name,) = USED.findall(text)
                assert (name, text) == (variable(input_name), f"${{{{ inputs.{input_name} }}}}")
    read = set(re.findall(r'(?:input_text|branch|flag)\("([\w-]+)"\)', CODE))
    assert read == set(ACTION["inputs"]) | {"github-token"}


def test_the_runners_side_needs_nothing_but_pythons_standard_library() -> None:
    """Python without site-packages, as on a runner: every module of ci/ loads there, and no package does."""
    script = (
        "import importlib, pkgutil, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import deployer.ci\n"
        "walked = pkgutil.walk_packages(deployer.ci.__path__, 'deployer.ci.')\n"
        "names = [one.name for one in walked if not one.name.endswith('.__main__')]\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
        "ours = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'__main__'}\n"
        "print(len(names), *sorted(ours), importlib.util.find_spec('flask'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], check=False, capture_output=True, text=True
    )
    count, *rest = done.stdout.split() or ("0",)
    assert (int(count) > 30, rest) == (True, ["deployer", "None"]), done.stderr


def test_each_step_runs_one_verb_with_nothing_written_into_the_script() -> None:
    assert [step["id"] for step in STEPS] == list(VERBS)
    for step in STEPS:
        assert step["run"] == f'exec python3 -I "$GITHUB_ACTION_PATH/deployer/ci" {step["id"]}'
        assert step["shell"] == "bash"
        assert step["name"]
        assert "uses" not in step


def test_conditions_let_nothing_leave_the_runner_but_by_mode() -> None:
    mode = "steps.decide.outputs.mode"
    assert {step["id"]: step.get("if", "") for step in STEPS} == {
        "decide": "",
        "checkout": f"{mode} != 'skip'",
        "build": f"{mode} != 'skip'",
        "test": f"{mode} != 'skip'",
        "plan": f"{mode} == 'test'",
        "push": f"{mode} == 'build' || {mode} == 'deploy'",
        "deploy": f"{mode} == 'deploy'",
        "report": "always()",
    }


def test_secrets_reach_only_the_steps_that_need_them() -> None:
    kinds = ("PASSWORD", "TOKEN", "SECRET", "ENV")
    assert {
        step["id"]: sorted(
            kind for kind in kinds for name in step.get("env", {}) if name.endswith(f"_{kind}")
        )
        for step in STEPS
    } == {
        "decide": ["ENV", "SECRET"],  # to say at once what is wrong or missing
        "checkout": ["TOKEN"],
        "build": ["PASSWORD", "TOKEN"],  # to look for tested images in the registry
        "test": [],
        "plan": ["ENV", "TOKEN"],  # the same variables that a deploy would send, and a comment
        "push": ["PASSWORD", "TOKEN"],
        "deploy": ["ENV", "PASSWORD", "SECRET", "TOKEN"],
        "report": [],
    }


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


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.stem))
def test_an_example_uses_only_inputs_and_outputs_that_there_are(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"].values()
    ours = [step for job in jobs for step in job["steps"] if "deployer@" in step.get("uses", "")]
    assert ours
    for step in ours:
        assert set(step.get("with", {})) <= set(ACTION["inputs"])
        used = re.findall(rf"steps\.{step.get('id', '-')}\.outputs\.([\w-]+)", text)
        assert set(used) <= set(ACTION["outputs"])


@pytest.mark.parametrize("file", [*EXAMPLES, *WORKFLOWS], ids=lambda file: str(file.stem))
def test_whatever_a_workflow_uses_is_pinned_by_commit_and_names_its_version(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "uses: " in line]
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line.strip().removeprefix("- "))] == []


def test_the_reference_names_every_input_and_output_in_the_same_words() -> None:
    def words(text: str) -> str:
        return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

    lines = (ROOT / "docs/reference/action.md").read_text(encoding="utf-8").splitlines()
    shown = {
        name: f"`{spec['default']}`" if spec["default"] else "" for name, spec in ACTION["inputs"].items()
    }
    inputs = [
        f"| `{name}` | {shown[name]} | {words(spec['description'])} |"
        for name, spec in ACTION["inputs"].items()
    ]
    outputs = [f"| `{name}` | {words(spec['description'])} |" for name, spec in ACTION["outputs"].items()]
    names = tuple(f"| `{name}` |" for name in (*ACTION["inputs"], *ACTION["outputs"]))
    assert [line for line in lines if line.startswith(names)] == [*inputs, *outputs]
