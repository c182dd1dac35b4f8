"""What a workflow run may do. In: event name, ref, payload, branch names. Out: `ModeDecision` with a reason.

An allow-list of events comes first, then the ref: twenty-one other events run with the default branch as
their ref, and a closed pull request does too, so the ref alone permits nothing. Refs are compared exactly.
https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SKIP_MARKS = ("[skip deploy]", "[deploy skip]")
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_NO_COMMIT = "0" * 40
_DEPENDABOT = "dependabot[bot]"


class Mode(StrEnum):
    """How far a run goes; each one includes the work of the one below it."""

    DEPLOY = "deploy"  # build, test, push, deploy
    BUILD = "build"  # build, test, push
    TEST = "test"  # build, test
    SKIP = "skip"


@dataclass(frozen=True)
class ModeDecision:
    """`environment` is empty unless the mode is deploy, so that nobody takes it for a permission."""

    mode: Mode
    reason: str
    environment: str = ""


def decide_mode(
    event: str,
    ref: str,
    payload: Mapping[str, object],
    *,
    production_branch: str = "main",
    develop_branch: str = "develop",
    environment: str = "production",
) -> ModeDecision:
    """Total: every input has an answer, a payload of any shape included."""
    if event == "pull_request":
        return _pull_request(payload)
    if event == "merge_group":
        return ModeDecision(Mode.TEST, "a merge group is tested and never deployed")
    if event not in ("push", "workflow_dispatch"):
        return ModeDecision(Mode.SKIP, _refusal(event))
    if event == "push" and (payload.get("deleted") is True or payload.get("after") == _NO_COMMIT):
        return ModeDecision(Mode.SKIP, f"{ref} was deleted")
    if production_branch and ref == _HEADS + production_branch:
        return _production(event, production_branch, payload, environment)
    if develop_branch and ref == _HEADS + develop_branch:
        return ModeDecision(
            Mode.BUILD, f"{event} to {develop_branch}: images are pushed, nothing is deployed"
        )
    return _elsewhere(event, ref)


def _production(event: str, branch: str, payload: Mapping[str, object], environment: str) -> ModeDecision:
    mark = _skip_mark(payload) if event == "push" else ""
    if mark:
        return ModeDecision(Mode.BUILD, f"the head commit says {mark}")
    return ModeDecision(Mode.DEPLOY, f"{event} to {branch} deploys to {environment}", environment)


def _skip_mark(payload: Mapping[str, object]) -> str:
    message = _table(payload, "head_commit").get("message")
    text = message.lower() if isinstance(message, str) else ""
    return next((mark for mark in SKIP_MARKS if mark in text), "")


def _elsewhere(event: str, ref: str) -> ModeDecision:
    if ref.startswith(_HEADS):
        return ModeDecision(
            Mode.TEST, f"{event} to {ref.removeprefix(_HEADS)}: a branch without a deploy is tested"
        )
    if ref.startswith(_TAGS):
        return ModeDecision(Mode.TEST, f"tag {ref.removeprefix(_TAGS)}: tags are tested and never deployed")
    return ModeDecision(Mode.SKIP, f"{ref!r} is neither a branch nor a tag")


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
        return "refused: pull_request_target would run a stranger's code with our rights; use pull_request"
    return (
        f"event {event!r} neither deploys nor tests; push, pull_request, merge_group and workflow_dispatch do"
    )


def _table(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    inner = value.get(key)
    return inner if isinstance(inner, Mapping) else {}
