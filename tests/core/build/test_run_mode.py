"""What may happen for which event and ref: one row a case, so that a change of the rules shows as changed
rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.build.branch_rules import default_rules, parse_branches
from deployer.core.build.run_mode import Mode, decide_mode

ZEROS = "0" * 40
MAIN, DEVELOP, TOPIC, TAG = "refs/heads/main", "refs/heads/develop", "refs/heads/topic", "refs/tags/v1.0.0"

# Events that GitHub runs with the default branch, or a branch named main, as GITHUB_REF.
OTHERS = [
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "milestone",
    "page_build",
    "public",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "registry_package",
    "repository_dispatch",
    "status",
    "watch",
    "workflow_call",
    "workflow_run",
]
REFS = (MAIN, DEVELOP, TOPIC, TAG, "refs/pull/7/merge", "")


def push(message: str = "work", **extra: Any) -> dict[str, Any]:
    return {"after": "a" * 40, "deleted": False, "head_commit": {"message": message}, **extra}


def pull(action: str = "synchronize", head: object = 1, login: str = "dev") -> dict[str, Any]:
    repo = {"id": head} if isinstance(head, int) else head
    return {
        "action": action,
        "pull_request": {"user": {"login": login}, "head": {"repo": repo}, "base": {"repo": {"id": 1}}},
    }


ROWS: list[tuple[str, str, Mapping[str, Any], Mode, str]] = [
    ("push", MAIN, push(), Mode.DEPLOY, "production"),
    ("push", MAIN, {}, Mode.DEPLOY, "production"),
    ("push", DEVELOP, push(), Mode.BUILD, "develop"),
    ("push", DEVELOP, push("x [skip deploy]"), Mode.BUILD, "develop"),
    ("push", TOPIC, push(), Mode.TEST, "topic"),
    ("push", TAG, push(), Mode.BUILD, "tag v1.0.0"),
    ("push", "refs/tags/nightly", push(), Mode.TEST, "tag nightly"),
    ("push", "refs/tags/v1/x", push(), Mode.TEST, "without a rule"),
    # A name is compared whole and as it stands.
    ("push", "refs/heads/Main", push(), Mode.TEST, "Main"),
    ("push", "refs/heads/main2", push(), Mode.TEST, "main2"),
    ("push", "refs/heads/feature/main", push(), Mode.TEST, "feature/main"),
    ("push", "refs/heads/main ", push(), Mode.TEST, "main"),
    ("push", "refs/heads/main/", push(), Mode.TEST, "main"),
    ("push", "refs/heads//main", push(), Mode.TEST, "main"),
    ("push", "refs/heads/refs/heads/main", push(), Mode.TEST, "main"),
    ("push", "refs/heads/ma\u0456n", push(), Mode.TEST, "branch"),
    ("push", "refs/tags/main", push(), Mode.TEST, "tag"),
    ("push", "refs/tags/refs/heads/main", push(), Mode.TEST, "tag"),
    ("push", "main", push(), Mode.SKIP, "neither"),
    ("push", "heads/main", push(), Mode.SKIP, "neither"),
    ("push", "refs/remotes/origin/main", push(), Mode.SKIP, "neither"),
    ("push", "refs/pull/7/merge", push(), Mode.SKIP, "neither"),
    ("push", "", push(), Mode.SKIP, "neither"),
    # Deleted refs.
    ("push", MAIN, push(deleted=True), Mode.SKIP, "deleted"),
    ("push", MAIN, push(after=ZEROS), Mode.SKIP, "deleted"),
    ("push", MAIN, push(deleted=True, after=ZEROS, head_commit=None), Mode.SKIP, "deleted"),
    ("push", TAG, push(deleted=True, after=ZEROS), Mode.SKIP, "deleted"),
    ("push", MAIN, push(deleted=False, before=ZEROS, created=True), Mode.DEPLOY, "production"),
    ("push", MAIN, push(forced=True), Mode.DEPLOY, "production"),
    # The head commit's message.
    ("push", MAIN, push("fix [skip deploy]"), Mode.BUILD, "[skip deploy]"),
    ("push", MAIN, push("[deploy skip] fix"), Mode.BUILD, "[deploy skip]"),
    ("push", MAIN, push("fix\n\n[Skip Deploy]"), Mode.BUILD, "[skip deploy]"),
    ("push", MAIN, push("skip deploy"), Mode.DEPLOY, "production"),
    ("push", MAIN, push("[skipdeploy]"), Mode.DEPLOY, "production"),
    ("push", MAIN, push(head_commit=None), Mode.DEPLOY, "production"),
    ("push", MAIN, push(head_commit="[skip deploy]"), Mode.DEPLOY, "production"),
    ("push", MAIN, push(head_commit={"message": ["[skip deploy]"]}), Mode.DEPLOY, "production"),
    ("push", MAIN, push(commits=[{"message": "[skip deploy]"}]), Mode.DEPLOY, "production"),
    ("push", MAIN, push("fix\n\nDeploy: skip"), Mode.BUILD, "Deploy: skip"),
    ("push", MAIN, push("fix\n\nSigned-off-by: A <a@b>\ndeploy:  SKIP\nX: y\n"), Mode.BUILD, "deploy:  SKIP"),
    ("push", MAIN, push("fix\r\n\r\nDeploy: skip\r\n"), Mode.BUILD, "Deploy: skip"),
    ("push", MAIN, push("Deploy: skip"), Mode.DEPLOY, "production"),
    ("push", MAIN, push("fix\n\nDeploy: skip\n\nmore text"), Mode.DEPLOY, "production"),
    ("push", MAIN, push("fix\n\nDeploy: skipping"), Mode.DEPLOY, "production"),
    ("push", MAIN, push("fix\n\nNo-Deploy: skip"), Mode.DEPLOY, "production"),
    # A release is as its tag, once, when it is published.
    ("release", TAG, {"action": "published"}, Mode.BUILD, "release of tag v1.0.0"),
    ("release", "refs/tags/nightly", {"action": "published"}, Mode.TEST, "without a rule"),
    *[
        ("release", TAG, {"action": action}, Mode.SKIP, "just published")
        for action in ("created", "edited", "deleted", "prereleased", "released", "unpublished", None)
    ],
    ("release", MAIN, {"action": "published"}, Mode.SKIP, "with a tag"),
    # The clock never deploys by itself.
    ("schedule", MAIN, {"schedule": "0 3 * * 1"}, Mode.TEST, "newest base images"),
    ("schedule", DEVELOP, {}, Mode.TEST, "newest base images"),
    # By hand: the branch decides.
    ("workflow_dispatch", MAIN, {}, Mode.DEPLOY, "workflow_dispatch"),
    ("workflow_dispatch", MAIN, push("[skip deploy]", deleted=True), Mode.DEPLOY, "production"),
    ("workflow_dispatch", DEVELOP, {}, Mode.BUILD, "develop"),
    ("workflow_dispatch", TOPIC, {}, Mode.TEST, "topic"),
    ("workflow_dispatch", TAG, {}, Mode.BUILD, "tag"),
    # Pull requests: never more than a test, whatever the ref claims.
    ("pull_request", "refs/pull/7/merge", pull(), Mode.TEST, "this repository"),
    ("pull_request", "refs/pull/7/merge", pull(head=2), Mode.TEST, "a fork"),
    ("pull_request", "refs/pull/7/merge", pull(head=None), Mode.TEST, "a deleted fork"),
    ("pull_request", "refs/pull/7/merge", pull(login="dependabot[bot]"), Mode.TEST, "Dependabot"),
    ("pull_request", "refs/pull/7/merge", pull("closed"), Mode.SKIP, "closed"),
    ("pull_request", MAIN, pull("closed"), Mode.SKIP, "closed"),
    ("pull_request", MAIN, pull(), Mode.TEST, "never"),
    ("pull_request", MAIN, {}, Mode.TEST, "never"),
    (
        "pull_request",
        MAIN,
        {"pull_request": {"head": {"repo": {}}, "base": {"repo": {}}}},
        Mode.TEST,
        "a fork",
    ),
    ("pull_request", MAIN, {"pull_request": "x"}, Mode.TEST, "never"),
    # Merge queue.
    ("merge_group", "refs/heads/gh-readonly-queue/main/pr-7-abc", {}, Mode.TEST, "merge group"),
    ("merge_group", MAIN, {}, Mode.TEST, "merge group"),
    # Refused outright, with the reason and the way out.
    ("pull_request_target", MAIN, pull(), Mode.SKIP, "use pull_request"),
    ("", MAIN, push(), Mode.SKIP, "event ''"),
    ("PUSH", MAIN, push(), Mode.SKIP, "event 'PUSH'"),
    ("push ", MAIN, push(), Mode.SKIP, "event 'push '"),
]


@pytest.mark.parametrize(("event", "ref", "payload", "mode", "words"), ROWS)
def test_event_ref_and_payload_give_mode_and_reason(
    event: str, ref: str, payload: Mapping[str, Any], mode: Mode, words: str
) -> None:
    decision = decide_mode(event, ref, payload)
    assert decision.mode is mode
    assert words in decision.reason
    assert decision.environment == ("production" if mode is Mode.DEPLOY else "")


@pytest.mark.parametrize(("event", "ref"), list(itertools.product(OTHERS, REFS)))
def test_every_other_event_is_skipped_on_every_ref(event: str, ref: str) -> None:
    for payload in (push(), pull("closed"), {}):
        assert decide_mode(event, ref, payload).mode is Mode.SKIP


@pytest.mark.parametrize(
    ("ref", "mode"),
    [
        ("refs/heads/live", Mode.DEPLOY),
        ("refs/heads/next", Mode.BUILD),
        (MAIN, Mode.TEST),
        (DEVELOP, Mode.TEST),
    ],
)
def test_configured_branches_replace_the_defaults(ref: str, mode: Mode) -> None:
    decision = decide_mode("push", ref, push(), default_rules("live", "next", "eu"))
    assert decision.mode is mode
    assert decision.environment == ("eu" if mode is Mode.DEPLOY else "")


def test_one_branch_in_both_roles_deploys() -> None:
    assert decide_mode("push", MAIN, push(), default_rules("main", "main", "production")).mode is Mode.DEPLOY


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_an_empty_branch_name_matches_no_ref(event: str) -> None:
    assert decide_mode(event, "refs/heads/", {}, default_rules("", "", "production")).mode is Mode.TEST


@pytest.mark.parametrize(
    ("line", "mode", "environment"),
    [
        ("deploy staging", Mode.DEPLOY, "staging"),
        ("build", Mode.BUILD, ""),
        ("test", Mode.TEST, ""),
        ("skip", Mode.SKIP, ""),
    ],
)
def test_a_scheduled_run_does_what_its_own_line_says(line: str, mode: Mode, environment: str) -> None:
    rules = parse_branches(f"main: deploy production\nschedule: {line}", "production")
    decision = decide_mode("schedule", MAIN, {}, rules)
    assert (decision.mode, decision.environment) == (mode, environment)
    assert decision.refresh is (mode is not Mode.SKIP)
    assert "`branches` says" in decision.reason


def test_only_a_scheduled_run_builds_anew() -> None:
    for event in ("push", "workflow_dispatch", "release", "pull_request", "merge_group"):
        assert not decide_mode(event, MAIN, {"action": "published"}).refresh


@pytest.mark.parametrize("mode", ["test", "skip"])
def test_a_line_may_narrow_even_the_production_branch(mode: str) -> None:
    decision = decide_mode("push", MAIN, push(), parse_branches(f"main: {mode}", "production"))
    assert decision.mode is Mode(mode)
    assert decision.environment == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "head_commit",
                    "message",
                    "pull_request",
                    "head",
                    "base",
                    "repo",
                    "id",
                    "action",
                    "deleted",
                    "user",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    event=st.sampled_from(
        ["push", "pull_request", "merge_group", "workflow_dispatch", "release", "schedule", *OTHERS]
    ),
    ref=st.sampled_from(REFS) | st.text(max_size=20),
    payload=st.dictionaries(
        st.sampled_from(["head_commit", "pull_request", "action", "deleted", "after"]), JSON, max_size=5
    ),
)
def test_only_a_push_or_dispatch_to_the_production_branch_ever_deploys(
    event: str, ref: str, payload: dict[str, Any]
) -> None:
    if decide_mode(event, ref, payload).mode is Mode.DEPLOY:
        assert event in ("push", "workflow_dispatch")
        assert ref == MAIN
