"""`report` speaks on every path and leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from deployer.ci.report import judge
from deployer.ci.state import Verdict
from tests.ci.conftest import SHA, Workflow
from tests.ci.test_deploy import DIGEST, image

OUTPUTS = {"mode", "reason", "environment", "images", "deployment-id", "status"}


def test_a_run_that_decided_nothing_has_all_outputs_and_says_why(run: Workflow) -> None:
    assert run.verb("decide", server="nonsense").code == 1
    step = run.verb("report")
    assert step.code == 0
    assert set(step.outputs) == OUTPUTS
    assert (step.outputs["mode"], step.outputs["status"], step.outputs["images"]) == ("skip", "failure", "{}")
    assert "server" in step.outputs["reason"]
    assert "server" in step.summary


def test_even_without_any_state_there_is_a_report(run: Workflow) -> None:
    step = run.verb("report")
    assert (step.code, set(step.outputs), step.outputs["status"]) == (0, OUTPUTS, "failure")


def test_images_and_verdicts_are_shown_and_the_state_is_gone(run: Workflow) -> None:
    run.keep("decision", {"mode": "build", "reason": "push to develop", "environment": ""})
    run.keep("images", [image("web", "ghcr.io/acme/shop-web")])
    run.keep("model", {"services": {"web": {"environment": {"PASSWORD": "hush"}}}})
    run.done("decide", "build", "test", "push")
    step = run.verb("report")
    assert json.loads(step.outputs["images"]) == {
        "web": {
            "image": "ghcr.io/acme/shop-web",
            "tag": f"sha-{SHA}",
            "digest": DIGEST,
            "ref": f"ghcr.io/acme/shop-web@{DIGEST}",
            "id": image("web", "x")["id"],
        }
    }
    assert step.outputs["status"] == "success"
    assert f"| web | sha-{SHA} | {DIGEST} | tested and pushed |" in step.summary
    assert "hush" not in step.raw + step.summary
    assert not run.state.exists()


def test_text_from_outside_stays_text_in_the_summary(run: Workflow) -> None:
    reason = "push to <img src=x>|[x](https://evil.example)\n# big"
    run.keep("decision", {"mode": "test", "reason": reason, "environment": ""})
    step = run.verb("report")
    assert "<img" not in step.summary.replace("\\<img", "")
    assert "\n# big" not in step.summary
    assert step.outputs["reason"] == reason


@pytest.mark.parametrize(
    ("mode", "done", "status"),
    [
        ("skip", ["decide"], "skipped"),
        ("test", ["decide", "build", "test"], "success"),
        ("test", ["decide", "build"], "failure"),
        ("build", ["decide", "build", "test", "push"], "success"),
        ("build", ["decide", "build", "test"], "failure"),
        ("deploy", ["decide", "build", "test", "push", "deploy"], "success"),
        ("deploy", ["decide", "build", "test", "push"], "failure"),
        ("deploy", [], "failure"),
    ],
)
def test_success_is_what_the_mode_asked_for(mode: str, done: list[str], status: str) -> None:
    assert judge(mode, {verb: Verdict(True, "", 1.0) for verb in done}) == status


def test_a_verb_that_failed_is_not_done() -> None:
    verdicts = {verb: Verdict(verb != "test", "", 1.0) for verb in ("decide", "build", "test")}
    assert judge("test", verdicts) == "failure"
