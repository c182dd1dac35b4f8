"""Event by ref by origin by configuration, every combination: what may happen stands as data, not as code.

EXPECTED says, for a kind of event, which refs it may do what for; everything that stands nowhere is skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from deployer.core.build.branch_rules import Rule, default_rules, parse_branches
from deployer.core.build.run_mode import Mode, decide_mode

CONFIGURATIONS: dict[str, tuple[Rule, ...]] = {
    "default": default_rules("main", "develop", "production"),
    "renamed": default_rules("trunk", "next", "live"),
    "mapped": parse_branches(
        "main: build\nrelease/*: deploy staging\ntags v*: deploy production\nschedule: build\ndevelop: skip",
        "x",
    ),
}
REFS = {
    "main": "refs/heads/main",
    "develop": "refs/heads/develop",
    "trunk": "refs/heads/trunk",
    "next": "refs/heads/next",
    "release": "refs/heads/release/7",
    "topic": "refs/heads/topic",
    "version": "refs/tags/v1.2.3",
    "tag": "refs/tags/nightly",
    "pull": "refs/pull/7/merge",
}
# configuration → ref → what a push or a run by hand may do there.
PLACES: Mapping[str, Mapping[str, str]] = {
    "default": {
        "main": "deploy production", "develop": "build", "trunk": "test", "next": "test", "release": "test",
        "topic": "test", "version": "build", "tag": "test", "pull": "skip",
    },
    "renamed": {
        "main": "test", "develop": "test", "trunk": "deploy live", "next": "build", "release": "test",
        "topic": "test", "version": "build", "tag": "test", "pull": "skip",
    },
    "mapped": {
        "main": "build", "develop": "skip", "trunk": "test", "next": "test", "release": "deploy staging",
        "topic": "test", "version": "deploy production", "tag": "test", "pull": "skip",
    },
}  # fmt: skip
TAGS_ONLY = {"version", "tag"}
# event and its kind → what becomes of PLACES.
EXPECTED: Mapping[str, str] = {
    "push": "as the place",
    "push of a new branch": "as the place",
    "push with force": "as the place",
    "push of a deletion": "skip",
    "push with [skip deploy]": "no deploy",
    "push with the trailer": "no deploy",
    "workflow_dispatch": "as the place",
    "release published": "as the place, tags only",
    "release edited": "skip",
    "schedule": "by the clock",
    "merge_group": "test",
    "pull_request": "test",
    "pull_request of a fork": "test",
    "pull_request of a deleted fork": "test",
    "pull_request of Dependabot": "test",
    "pull_request merged": "skip",
    "pull_request closed": "skip",
    "pull_request_target": "skip",
    "issue_comment": "skip",
    "workflow_run": "skip",
    "repository_dispatch": "skip",
}
CLOCK = {"default": "test", "renamed": "test", "mapped": "build"}
A, ZERO = "a" * 40, "0" * 40


def pull(
    action: str, head: Mapping[str, Any] | None, login: str = "ada", merged: bool = False
) -> dict[str, Any]:
    side = {"repo": {"id": 1, "full_name": "acme/shop"}}
    return {
        "action": action,
        "pull_request": {"head": {"repo": head}, "base": side, "user": {"login": login}, "merged": merged},
    }


OWN, FORK = {"id": 1}, {"id": 2}
PAYLOADS: Mapping[str, Mapping[str, Any]] = {
    "push": {"before": A, "after": A, "deleted": False, "head_commit": {"message": "work"}},
    "push of a new branch": {"before": ZERO, "after": A, "created": True, "head_commit": {"message": "work"}},
    "push with force": {"before": A, "after": A, "forced": True, "head_commit": {"message": "work"}},
    "push of a deletion": {"before": A, "after": ZERO, "deleted": True, "head_commit": None},
    "push with [skip deploy]": {"after": A, "head_commit": {"message": "docs [skip deploy]"}},
    "push with the trailer": {"after": A, "head_commit": {"message": "docs\n\nDeploy: skip"}},
    "release published": {"action": "published"},
    "release edited": {"action": "edited"},
    "pull_request": pull("synchronize", OWN),
    "pull_request of a fork": pull("opened", FORK),
    "pull_request of a deleted fork": pull("reopened", None),
    "pull_request of Dependabot": pull("opened", OWN, "dependabot[bot]"),
    "pull_request merged": pull("closed", OWN, merged=True),
    "pull_request closed": pull("closed", FORK),
    "pull_request_target": pull("opened", FORK),
    "workflow_run": {
        "workflow_run": {"head_branch": "main", "conclusion": "success", "event": "pull_request"}
    },
    "issue_comment": {"action": "created", "comment": {"body": "/deploy"}},
}
TABLE = list(itertools.product(EXPECTED, REFS, CONFIGURATIONS))


def expected(event: str, ref: str, configuration: str) -> tuple[str, str]:
    """Mode and environment, read off the data above."""
    place = PLACES[configuration][ref]
    if ref == "pull" and event in ("schedule", "release published"):
        return "skip", ""
    word = {
        "as the place": place,
        "no deploy": place.replace(place, "build") if place.startswith("deploy") else place,
        "as the place, tags only": place if ref in TAGS_ONLY else "skip",
        "by the clock": CLOCK[configuration],
    }.get(EXPECTED[event], EXPECTED[event])
    mode, _, environment = word.partition(" ")
    return mode, environment


def test_the_table_is_large_enough_to_show_a_change() -> None:
    assert len(TABLE) == 567


@pytest.mark.parametrize(("event", "ref", "configuration"), TABLE)
def test_event_ref_origin_and_configuration(event: str, ref: str, configuration: str) -> None:
    rules = CONFIGURATIONS[configuration]
    decision = decide_mode(event.partition(" ")[0], REFS[ref], PAYLOADS.get(event, {}), rules)
    assert (str(decision.mode), decision.environment) == expected(event, ref, configuration)
    assert decision.reason
    assert decision.refresh is (event == "schedule" and decision.mode is not Mode.SKIP)


# GitHub's page "Events that trigger workflows": these run on the last commit of the default branch, with its
# ref.
TRAPS = [
    "branch_protection_rule", "check_run", "check_suite", "delete", "discussion", "discussion_comment",
    "fork", "gollum", "issue_comment", "issues", "label", "milestone", "page_build", "public",
    "image_version", "pull_request_target", "repository_dispatch", "status", "watch", "workflow_run",
    "schedule",
]  # fmt: skip


def test_there_are_twenty_one_of_them() -> None:
    assert len(TRAPS) == len(set(TRAPS)) == 21


@pytest.mark.parametrize("event", TRAPS)
def test_an_event_with_the_default_branchs_ref_never_deploys(event: str) -> None:
    for payload in ({}, PAYLOADS["push"], PAYLOADS["pull_request merged"], {"action": "created"}):
        decision = decide_mode(event, "refs/heads/main", payload)
        assert decision.mode is (Mode.TEST if event == "schedule" else Mode.SKIP)
        assert decision.environment == ""


def test_a_merged_pull_request_reports_main_and_does_nothing() -> None:
    decision = decide_mode("pull_request", "refs/heads/main", PAYLOADS["pull_request merged"])
    assert (decision.mode, decision.reason) == (
        Mode.SKIP,
        "the pull request is closed; its merge arrives as a push",
    )


def test_pull_request_target_is_refused_with_the_way_out() -> None:
    decision = decide_mode("pull_request_target", "refs/heads/main", PAYLOADS["pull_request_target"])
    assert decision.mode is Mode.SKIP
    assert decision.reason.startswith("refused: ")
    assert decision.reason.endswith("use pull_request")


def test_a_deleted_branch_reports_the_default_branchs_commit_and_does_nothing() -> None:
    payload = PAYLOADS["push of a deletion"]
    assert decide_mode("push", "refs/heads/main", payload).mode is Mode.SKIP
    assert decide_mode("delete", "refs/heads/main", {"ref": "topic"}).mode is Mode.SKIP
