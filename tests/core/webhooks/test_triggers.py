"""What a delivery may start: every condition on its own, from a case in which all hold."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.errors import PayloadRejected
from deployer.core.model import DeployJob, Kind, Run, Trigger
from deployer.core.webhooks.triggers import Deploy
from testing.receiver.receiver_inputs import (
    REVISION,
    config_of,
    decision,
    fixture,
    reason,
    run_payload,
    two_apps,
)

WORKFLOW = ".github/workflows/deploy.yml"


def test_a_successful_run_on_the_branch_is_a_wish_for_its_revision() -> None:
    assert decision(run_payload()) == Deploy(
        DeployJob(
            app="shop",
            environment="production",
            kind=Kind.DEPLOY,
            trigger=Trigger.WEBHOOK,
            actor="Codertocat",
            revision=REVISION,
            run=Run(12, 1),
            workflow=WORKFLOW,
        )
    )


@pytest.mark.case("A17", "A20", "A21", "A22", "A23")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"action": "requested"}, "requested"),
        ({"conclusion": "failure"}, "failure"),
        ({"conclusion": "skipped"}, "skipped"),
        ({"conclusion": None}, "no conclusion"),
        ({"event": "pull_request"}, "pull_request"),
        ({"event": "pull_request_target"}, "pull_request_target"),
        ({"event": "workflow_run"}, "workflow_run"),
        ({"event": "schedule"}, "schedule"),
        ({"head_repository": {"id": 666}}, "fork"),
        ({"head_repository": None}, "fork"),
        ({"repository_id": 4712, "head_repository": {"id": 4712}}, "repository id"),
        ({"head_branch": "develop"}, "develop"),
        ({"head_branch": "Main"}, "Main"),
        ({"head_branch": "main\n"}, "main"),
        ({"head_branch": "main/x"}, "main/x"),
        ({"head_branch": "refs/heads/main"}, "refs/heads/main"),
        ({"head_branch": "m\u0430in"}, "no environment"),
        ({"head_branch": "\uff4d\uff41\uff49\uff4e"}, "no environment"),
        ({"head_branch": None}, "no environment"),
    ],
)
def test_a_run_that_fails_one_condition_starts_nothing_and_the_reason_names_it(
    changes: dict[str, Any], why: str
) -> None:
    assert why in reason(run_payload(**changes))


def test_the_example_of_github_starts_nothing() -> None:
    assert "repository_dispatch" in reason(fixture("workflow_run/completed.payload"))


@pytest.mark.case("A18")
def test_a_renamed_repository_is_known_by_its_id_and_the_answer_says_so() -> None:
    payload = run_payload()
    payload["repository"]["full_name"] = "Acme/SHOP"
    assert decision(payload) == decision(run_payload())
    payload["repository"]["full_name"] = "acme/store"
    answer = decision(payload)
    assert isinstance(answer, Deploy)
    assert "now acme/store: apps.shop.repository" in answer.note
    payload["repository"].update(id=4712, full_name="acme/shop")
    payload["workflow_run"]["head_repository"]["id"] = 4712
    assert "repository id" in reason(payload)


@pytest.mark.case("A21")
def test_only_the_configured_workflow_file_may_deploy() -> None:
    config = config_of(workflow=WORKFLOW)
    assert isinstance(decision(run_payload(), config), Deploy)
    assert "other.yml" in reason(run_payload(path=".github/workflows/other.yml"), config)


def test_no_webhook_deploys_an_environment_that_wants_its_claim() -> None:
    assert "claim" in reason(run_payload(), config_of(require_environment_claim=True))


def test_a_run_that_fits_two_environments_deploys_neither() -> None:
    answer = reason(run_payload(), two_apps())
    assert "shop/production" in answer and "admin/production" in answer


@pytest.mark.case("A24")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("push/payload", "the event push starts nothing"),
        ("package/published.docker.payload", "no container but npm"),
        ("registry_package/published.docker.payload", "no container but npm"),
        ("deployment/payload", "the task 'deploy'"),
    ],
)
def test_githubs_examples_of_other_events_start_nothing(name: str, why: str) -> None:
    assert why in reason(fixture(name), event=name.partition("/")[0])


def test_a_body_of_another_event_than_the_header_says_is_refused() -> None:
    with pytest.raises(PayloadRejected):
        decision(fixture("push/payload"))


@pytest.mark.case("A16", "C01")
@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ({}, "pong"),
        ({"events": ["push", "workflow_run"]}, "pong"),
        ({"events": ["push"]}, "workflow_run"),
        ({"events": ["deployment"]}, "pong"),
        ({"events": ["registry_package", "push"]}, "pong"),
        ({"config": {"content_type": "form", "insecure_ssl": "0"}}, "content type"),
        ({"config": {"content_type": "json", "insecure_ssl": "1"}}, "SSL"),
    ],
)
@pytest.mark.parametrize("name", ["ping/payload", "ping/with-app_id.payload"])
def test_a_ping_is_answered_with_what_is_wrong_in_the_webhooks_settings(
    name: str, hook: dict[str, Any], answer: str
) -> None:
    payload = fixture(name)
    payload["hook"].update(hook)
    assert answer in reason(payload, event="ping")


def test_a_branch_that_fits_the_environments_pattern_deploys_and_is_named() -> None:
    config = config_of(branch="release/*")
    made = decision(run_payload(head_branch="release/1"), config)
    assert isinstance(made, Deploy) and made.job.branch == "release/1"
    for other in ("release/1/x", "main", "release"):
        assert "no environment accepts branch" in reason(run_payload(head_branch=other), config)
    tags = config_of(branch="tags v*")
    assert "no environment" in reason(run_payload(head_branch="v1"), tags), "a run does not say tag or branch"
