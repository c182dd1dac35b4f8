"""Every failure of the server is told with its reason and its hint, in the annotation and in the summary."""

from __future__ import annotations

import pytest

from deployer.ci.github.workflow_commands import cell
from deployer.core.errors import DeployerError, error_classes
from testing.receiver.scripted_receiver import ID, DeployApi, end, event, reply, story
from tests.ci.conftest import Step, Workflow
from tests.ci.steps.test_deploy import image

KINDS = sorted(
    {one.code: one for one in error_classes() if one.__module__ == "deployer.core.errors"}.values(),
    key=lambda one: one.code,
)
HINT = "write `ports: [80]` below web:"


@pytest.fixture
def ready(run: Workflow, api: DeployApi) -> Workflow:
    """A run whose next verb is `deploy`."""
    run.env |= api.environment()
    run.keep("decision", {"mode": "deploy", "reason": "r", "environment": "production"})
    run.keep("images", [image("web", "ghcr.io/acme/shop-web")])
    run.done("decide", "checkout", "build", "test", "push")
    return run


def deployed(run: Workflow, api: DeployApi) -> tuple[Step, Step]:
    """The failed verb, and the report after it."""
    inputs = {"server": api.url, "environment": "production", "timeout": "20", "registry": "ghcr.io"}
    step = run.verb("deploy", **inputs)
    assert step.code == 1, step.raw
    return step, run.verb("report")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_w1_each_error_of_a_deployment_has_reason_and_hint(
    ready: Workflow, api: DeployApi, kind: type[DeployerError]
) -> None:
    reason = f"web: it broke [{kind.code}]"
    api.streams = [story(event(1, HINT, kind="hint"), end(kind.outcome, reason))]
    step, report = deployed(ready, api)
    for part in (reason, HINT, f"`deployer show {ID}` on the server"):
        assert part in step.error and cell(part) in report.summary
    assert "/api/v1/" not in step.error + report.summary, "an address that answers 401 helps nobody"


@pytest.mark.parametrize(
    "kind", [one for one in KINDS if one.http_status not in (500, 503)], ids=lambda kind: kind.code
)
def test_w1_each_refused_request_has_reason_and_hint(
    ready: Workflow, api: DeployApi, kind: type[DeployerError]
) -> None:
    api.posts = [reply(kind.http_status, error=kind.code, message="web is not as it should be", hint=HINT)]
    step, report = deployed(ready, api)
    for part in (f"answers {kind.http_status}: web is not as it should be", HINT):
        assert part in step.error and cell(part) in report.summary


def test_w1_the_hint_is_the_failures_and_not_that_of_the_rollback_after_it(
    ready: Workflow, api: DeployApi
) -> None:
    told = [(HINT, "hint"), ("web: it broke", "failed"), ("free some space", "hint")]
    events = [event(n, text, kind=kind) for n, (text, kind) in enumerate(told, 1)]
    api.streams = [story(*events, end("failure", "web: it broke"))]
    step, report = deployed(ready, api)
    assert HINT in step.error and "free some space" not in step.error
    assert cell(HINT) in report.summary and "free some space" not in report.summary


def test_w1_a_failure_without_a_hint_has_the_rollbacks(ready: Workflow, api: DeployApi) -> None:
    events = event(1, "web: it broke", kind="failed"), event(2, "free some space", kind="hint")
    api.streams = [story(*events, end("failure", "web: it broke"))]
    assert "free some space" in deployed(ready, api)[0].error


def test_w1_a_hint_that_is_polled_counts_too(ready: Workflow, api: DeployApi) -> None:
    api.streams = [reply(503, error="busy", message="no room")]
    events = [{"n": 1, "at": 1000.0, "kind": "hint", "text": HINT}]
    api.polls = [reply(200, status="failure", reason="web: it broke", events=events)]
    assert HINT in deployed(ready, api)[0].error


def test_w1_a_failure_on_the_runner_has_its_hint_in_the_summary(ready: Workflow, api: DeployApi) -> None:
    ready.done("decide", "checkout", "build", "test", "push")
    del ready.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    step, report = deployed(ready, api)
    hint = step.error.partition("hint: ")[2].splitlines()
    assert hint and all(cell(line) in report.summary for line in hint)
