"""Mode of a workflow run. In: event name, ref, payload, rules. Out: `ModeDecision` with a reason.

An allow-list of events comes first, then the ref: twenty-one other events run with the default branch as
their ref, and a closed pull request does too, so the ref alone permits nothing. Refs are compared exactly.
https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.build.branch_rules import Mode, Rule, default_rules, find_rule, find_schedule
from deployer.core.refs import HEADS, TAGS

__all__ = ["Mode", "ModeDecision", "decide_mode"]

SKIP_MARKS = ("[skip deploy]", "[deploy skip]")
_BY_RULE = ("push", "workflow_dispatch", "release", "schedule")
_TRAILER = re.compile(r"deploy:\s*skip\s*", re.IGNORECASE)
_NO_COMMIT = "0" * 40
_DEPENDABOT = "dependabot[bot]"


@dataclass(frozen=True)
class ModeDecision:
    """Mode with its reason. `environment` is empty unless the mode is deploy, so that it cannot be mistaken
    for a permission.

    `refresh`: everything is to be rebuilt, on the newest base images.
    """

    mode: Mode
    reason: str
    environment: str = ""
    refresh: bool = False


def decide_mode(
    event: str,
    ref: str,
    payload: Mapping[str, object],
    rules: Sequence[Rule] = default_rules("main", "develop", "production"),
) -> ModeDecision:
    """Returns the decision. Total: every input has an answer, a payload of any shape included."""
    if event == "pull_request":
        return _pull_request(payload)
    if event == "merge_group":
        return ModeDecision(Mode.TEST, "a merge group is tested and never deployed")
    if event not in _BY_RULE:
        return ModeDecision(Mode.SKIP, _refusal(event))
    if not ref.startswith((HEADS, TAGS)):
        return ModeDecision(Mode.SKIP, f"{ref!r} is neither a branch nor a tag")
    if event == "push" and (payload.get("deleted") is True or payload.get("after") == _NO_COMMIT):
        return ModeDecision(Mode.SKIP, f"{ref} was deleted")
    if event == "schedule":
        return _scheduled(find_schedule(rules))
    if event == "release" and (payload.get("action") != "published" or not ref.startswith(TAGS)):
        return ModeDecision(Mode.SKIP, "only a release that was just published, with a tag, is built")
    return _by_rule(event, ref, payload, find_rule(rules, ref))


def _scheduled(rule: Rule | None) -> ModeDecision:
    if rule is None:
        reason = "a scheduled run builds anew on the newest base images and tests; nothing is pushed"
        return ModeDecision(Mode.TEST, reason, refresh=True)
    goal = f" and deploys to {rule.environment}" if rule.mode is Mode.DEPLOY else ""
    reason = f"a scheduled run builds anew on the newest base images{goal}, as `branches` says"
    if rule.mode is Mode.SKIP:
        return ModeDecision(Mode.SKIP, "a scheduled run does nothing, as `branches` says")
    return ModeDecision(rule.mode, reason, rule.environment, refresh=True)


def _by_rule(event: str, ref: str, payload: Mapping[str, object], rule: Rule | None) -> ModeDecision:
    place = _place(event, ref)
    if rule is None:
        kind = "tag" if ref.startswith(TAGS) else "branch"
        return ModeDecision(Mode.TEST, f"{place}: a {kind} without a rule is tested")
    if rule.mode is Mode.DEPLOY:
        return _deploying(event, place, payload, rule.environment)
    reasons = {
        Mode.BUILD: "images are pushed, nothing is deployed",
        Mode.TEST: "it is tested, nothing is pushed",
        Mode.SKIP: "`branches` says skip",
    }
    return ModeDecision(rule.mode, f"{place}: {reasons[rule.mode]}")


def _place(event: str, ref: str) -> str:
    if ref.startswith(TAGS):
        return f"{event} of tag {ref.removeprefix(TAGS)}"
    return f"{event} to {ref.removeprefix(HEADS)}"


def _deploying(event: str, place: str, payload: Mapping[str, object], environment: str) -> ModeDecision:
    mark = _skip_mark(payload) if event == "push" else ""
    if mark:
        return ModeDecision(Mode.BUILD, f"the head commit says {mark}")
    return ModeDecision(Mode.DEPLOY, f"{place} deploys to {environment}", environment)


def _skip_mark(payload: Mapping[str, object]) -> str:
    """Returns the part of the head commit's message that asks for no deploy: a mark anywhere, or a trailer at
    the end.
    """
    message = _table(payload, "head_commit").get("message")
    text = message if isinstance(message, str) else ""
    mark = next((mark for mark in SKIP_MARKS if mark in text.lower()), "")
    paragraphs = re.split(r"\n[ \t\r]*\n", text.strip())
    trailers = paragraphs[-1].splitlines() if len(paragraphs) > 1 else []
    return mark or next((line.strip() for line in trailers if _TRAILER.fullmatch(line)), "")


def _pull_request(payload: Mapping[str, object]) -> ModeDecision:
    if payload.get("action") == "closed":
        return ModeDecision(Mode.SKIP, "the pull request is closed; its merge arrives as a push")
    return ModeDecision(Mode.TEST, f"pull request from {_origin(payload)}: tested, never pushed or deployed")


def _origin(payload: Mapping[str, object]) -> str:
    pull = _table(payload, "pull_request")
    head, base = _table(pull, "head").get("repo"), _table(pull, "base").get("repo")
    if _table(pull, "user").get("login") == _DEPENDABOT:
        return "Dependabot"
    if not isinstance(head, Mapping) or not isinstance(base, Mapping):
        return "a deleted fork"
    return "this repository" if head.get("id") is not None and head.get("id") == base.get("id") else "a fork"


def _refusal(event: str) -> str:
    if event == "pull_request_target":
        return "refused: pull_request_target would run a stranger's code with write access; use pull_request"
    return (
        f"event {event!r} neither deploys nor tests; push, pull_request, merge_group, workflow_dispatch,"
        " release and schedule do"
    )


def _table(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    inner = value.get(key)
    return inner if isinstance(inner, Mapping) else {}
