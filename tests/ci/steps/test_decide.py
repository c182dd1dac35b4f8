"""`decide` as a step of a workflow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.ci.conftest import ROOT, Workflow

INPUTS = {
    "server": "https://deploy.example.com",
    "environment": "production",
    "production_branch": "main",
    "develop_branch": "develop",
    "compose_file": "",
    "registry": "ghcr.io",
    "timeout": "900",
    "secret": "the-apps-webhook-secret",
}


@pytest.mark.parametrize(
    ("event", "ref", "mode", "environment"),
    [
        ("push", "refs/heads/main", "deploy", "production"),
        ("push", "refs/heads/develop", "build", ""),
        ("push", "refs/heads/topic", "test", ""),
        ("pull_request", "refs/pull/7/merge", "test", ""),
        ("pull_request_target", "refs/heads/main", "skip", ""),
        ("issue_comment", "refs/heads/main", "skip", ""),
    ],
)
def test_mode_reason_and_environment_are_outputs(
    run: Workflow, event: str, ref: str, mode: str, environment: str
) -> None:
    run.env |= {"GITHUB_EVENT_NAME": event, "GITHUB_REF": ref}
    step = run.verb("decide", **INPUTS)
    assert step.code == 0, step.errors
    assert (step.outputs["mode"], step.outputs["environment"]) == (mode, environment)
    assert step.outputs["reason"] in step.log
    assert [one.kind for one in step.console.annotations] == (["notice"] if mode == "skip" else [])


def test_every_problem_is_named_in_one_error(run: Workflow) -> None:
    run.env |= {"GITHUB_SHA": "HEAD", "GITHUB_RUN_ATTEMPT": "", "GITHUB_EVENT_PATH": "/nowhere"}
    wrong = {
        "server": "http://deploy.example.com",
        "environment": "Production!",
        "production_branch": "refs/heads/main",
        "develop_branch": "a b",
        "compose_file": "../compose.yaml",
        "registry": "https://ghcr.io/",
        "timeout": "soon",
    }
    step = run.verb("decide", **wrong)
    assert step.code == 1
    assert step.outputs == {}
    assert "Traceback" not in step.raw + step.errors
    for name in (
        "GITHUB_SHA, GITHUB_RUN_ATTEMPT",
        "GITHUB_EVENT_PATH",
        *(key.replace("_", "-") for key in wrong),
    ):
        assert name in step.error


@pytest.mark.parametrize(
    "server", ["", "deploy.example.com", "https://h/path", "https://u:p@h", "ftp://h", "http://h"]
)
def test_a_deploy_needs_the_servers_origin(run: Workflow, server: str) -> None:
    step = run.verb("decide", **INPUTS | {"server": server})
    assert step.code == 1
    assert "server" in step.error


@pytest.mark.parametrize(
    "server", ["https://h", "https://h:8443", "http://127.0.0.1:9000", "http://localhost"]
)
def test_an_origin_is_taken(run: Workflow, server: str) -> None:
    assert run.verb("decide", **INPUTS | {"server": server}).code == 0


def test_a_run_that_does_not_deploy_needs_no_server(run: Workflow) -> None:
    run.env["GITHUB_REF"] = "refs/heads/topic"
    assert run.verb("decide", **INPUTS | {"server": ""}).code == 0


def test_a_missing_checkout_is_named(run: Workflow) -> None:
    (run.workspace / "compose.yaml").unlink()
    step = run.verb("decide", **INPUTS)
    assert step.code == 1
    assert "actions/checkout" in step.error


def test_a_ref_cannot_write_outputs_or_commands(run: Workflow) -> None:
    run.env["GITHUB_REF"] = "refs/heads/x\nmode=deploy\n::set-output name=mode::deploy\n##[add-mask]x"
    step = run.verb("decide", **INPUTS)
    assert step.outputs["mode"] == "test"
    assert set(step.outputs) == {"mode", "reason", "environment"}
    assert step.console.outputs == {}
    assert step.console.masks == []


@pytest.mark.parametrize("event", ["[]", "not json", "[" * 100_000])
def test_an_event_file_that_is_no_event_is_an_error(run: Workflow, event: str) -> None:
    path = run.folder / "odd.json"
    path.write_text(event)
    run.env["GITHUB_EVENT_PATH"] = str(path)
    step = run.verb("decide", **INPUTS)
    assert step.code == 1
    assert "GITHUB_EVENT_PATH" in step.error


def test_what_an_earlier_run_left_is_forgotten(run: Workflow) -> None:
    run.keep("images", [{"service": "old"}])
    run.verb("decide", **INPUTS)
    assert not (run.state / "images.json").exists()
    assert run.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("argv", [[], ["nope"], ["decide", "x"]])
def test_an_unknown_verb_says_which_there_are(argv: list[str]) -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "deployer/ci"), *argv]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "decide,checkout,build,test,plan,push,deploy,report" in ended.stderr


def test_a_job_without_an_identity_hears_of_it_before_anything_is_built(run: Workflow) -> None:
    step = run.verb("decide", **INPUTS | {"secret": ""})
    assert step.code == 1
    assert "permissions:\n      contents: read\n      packages: write\n      id-token: write" in step.error
    assert "set the input secret" in step.error
    run.env["GITHUB_REF"] = "refs/heads/develop"
    assert run.verb("decide", **INPUTS | {"secret": ""}).code == 0, "only a deploy needs it"


def test_a_service_to_test_in_without_a_command_is_refused(run: Workflow) -> None:
    step = run.verb("decide", **INPUTS | {"test_service": "web"})
    assert step.code == 1 and "there is no test-command" in step.error
    assert run.verb("decide", **INPUTS | {"test_service": "web", "test_command": "true"}).code == 0
