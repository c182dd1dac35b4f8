"""`report` speaks on every path and leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from deployer.ci.run_state import StepResult
from deployer.ci.steps.report import judge
from tests.ci.conftest import SHA, Workflow
from tests.ci.steps.test_deploy import DIGEST, image

OUTPUTS = {
    "mode", "reason", "environment", "url", "images", "digests", "tags", "changed", "deployment-id", "status",
    "previous",
}  # fmt: skip


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
            "reused": False,
        }
    }
    assert step.outputs["status"] == "success"
    assert f"| web | built | 0.0 | sha-{SHA} | {DIGEST} | tested and pushed |" in step.summary
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
    assert judge(mode, {verb: StepResult(True, "", 1.0) for verb in done}) == status


def test_a_verb_that_failed_is_not_done() -> None:
    verdicts = {verb: StepResult(verb != "test", "", 1.0) for verb in ("decide", "build", "test")}
    assert judge("test", verdicts) == "failure"


def test_a_deployment_is_told_with_what_was_measured_and_how_to_go_back(run: Workflow) -> None:
    run.keep("decision", {"mode": "deploy", "reason": "push to main", "environment": "production"})
    web = image("web", "ghcr.io/acme/shop-web") | {"seconds": 3.25, "tags": [f"sha-{SHA}", "main"]}
    idle = image("idle", "ghcr.io/acme/shop-idle") | {"reused": True}
    run.keep("images", [web, idle])
    times = {"before": 4.2, "during": 6.0, "after": None}
    measured = {"requests": 400, "failed": 0, "longest_gap_ms": 48.4, "p50_ms": times, "p95_ms": times}
    run.keep(
        "deployment",
        {
            "id": "d-17", "url": "https://d.example/x", "status": "success", "reason": "",
            "previous": "e" * 40, "measured": measured, "app": "shop", "seen": "it serves",
            "environment_url": "https://shop.example",
        },
    )  # fmt: skip
    run.done("decide", "checkout", "build", "test", "push", "deploy")
    step = run.verb("report")
    assert (step.outputs["url"], step.outputs["previous"]) == ("https://shop.example", "e" * 40)
    assert json.loads(step.outputs["digests"]) == {"web": DIGEST, "idle": DIGEST}
    assert step.outputs["tags"] == f"ghcr.io/acme/shop-web:main\nghcr.io/acme/shop-web:sha-{SHA}"
    assert json.loads(step.outputs["changed"]) == ["web"]
    assert f"| web | built | 3.2 | sha-{SHA} | {DIGEST} | deployed |" in step.summary
    assert f"| idle | reused | 0.0 | sha-{SHA} | {DIGEST} | deployed |" in step.summary
    assert (
        "400 requests, 0 failed; longest gap 48 ms; p95 4 / 6 / — ms before / during / after" in step.summary
    )
    assert "deployer rollback shop production" in step.summary
    assert "Served before: eeeeeee\n" in step.summary


def test_a_summary_stays_far_below_githubs_limit(run: Workflow) -> None:
    run.keep("decision", {"mode": "test", "reason": "r" * 5_000_000, "environment": ""})
    run.keep("images", [image("web" + str(n), "ghcr.io/acme/" + "x" * 3000) for n in range(200)])
    step = run.verb("report")
    assert step.code == 0 and len(step.summary) < 250_000
    assert step.summary.rstrip().endswith("the log has all of it.")


def test_what_a_test_wrote_over_is_not_believed(run: Workflow) -> None:
    """A pull request's test command can reach the state; jobs that wait for this one read the outputs."""
    run.keep("decision", {"mode": "test", "reason": "pull request", "environment": ""})
    run.keep("verdicts", {"decide": {"done": True, "reason": "", "seconds": 1.0}})
    forged = {"mode": "deploy", "reason": "mine", "environment": "production"}
    (run.state / "decision.json").write_text(json.dumps(forged))
    run.keep("images", [{**image("web", "ghcr.io/evil/web"), "digest": "sha256:" + "e" * 64}])
    run.keep("deployment", {"id": "d-1", "status": "success", "environment_url": "https://evil.example"})
    outputs = run.verb("report").outputs
    assert (outputs["mode"], outputs["environment"], outputs["status"]) == ("test", "", "failure")
    assert (outputs["url"], outputs["deployment-id"], outputs["digests"], outputs["tags"]) == (
        "",
        "",
        "{}",
        "",
    )


@pytest.mark.parametrize("name", ["verdicts", "images", "deployment", "decision", "project"])
@pytest.mark.parametrize("text", ['{"bui', "7", "[]", '{"measured": "x", "previous": 7}', "[[1]]"])
def test_a_broken_state_is_told_about_and_removed(run: Workflow, name: str, text: str) -> None:
    """What a kill in the middle of a write or a hostile test leaves."""
    run.keep("decision", {"mode": "deploy", "reason": "r", "environment": "production"})
    (run.state / f"{name}.json").write_text(text)
    step = run.verb("report")
    assert step.outputs["mode"] == "deploy" and step.outputs["status"] != "success"
    assert not run.state.exists()
    assert "Traceback" not in step.raw + step.errors
