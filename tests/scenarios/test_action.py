"""The shipped action.yml from event to end, by two runners that know nothing of each other, in the form that
users write: ours, and act on the example workflow. Real engine, registry and receiver.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.stand.act import run_with_act
from tests.stand.runner import RunResult, run_action
from tests.stand.stage import Stage

pytestmark = pytest.mark.engine

_TIMES = re.compile(r"\b\d+\.\d\b")


def seen(run: RunResult) -> dict[str, Any]:
    """What a user sees of a run, without what differs from run to run."""
    id = run.outputs["deployment-id"]

    def steady(text: str) -> str:
        return _TIMES.sub("T", text.replace(id, "ID") if id else text)

    return {
        "outcome": run.outcome,
        "outputs": {name: steady(value) for name, value in run.outputs.items()},
        "steps": {name: step.outcome for name, step in run.steps.items()},
        "summary": steady(run.summary),
        "annotations": run.annotations,
    }


def both(stage: Stage, kind: str, name: str) -> tuple[RunResult, RunResult]:
    """The same event by each runner; what a user sees must be the same."""
    ours = stage.act(kind, name)
    stage.runner = run_with_act
    theirs = stage.act(kind, name)
    stage.runner = run_action
    assert seen(theirs) == seen(ours), f"{ours.log}\n--- act:\n{theirs.log}"
    return ours, theirs


def tags(stage: Stage) -> list[str]:
    """Those of the backend's image in the registry."""
    path = stage.namespace.partition("/")[2]
    try:
        with urllib.request.urlopen(f"http://{stage.registry}/v2/{path}/shop-backend/tags/list") as answer:
            return sorted(json.loads(answer.read())["tags"])
    except urllib.error.HTTPError:
        return []


def test_a_push_to_main_deploys_with_both_runners(stage: Stage) -> None:
    sha = stage.source.release("1.0.0")
    ours, theirs = both(stage, "push", "main")
    assert (ours.outcome, ours.outputs["mode"], ours.outputs["status"]) == ("success", "deploy", "success"), (
        ours.log
    )
    assert stage.serves() == "1.0.0" and f"sha-{sha}" in tags(stage)
    assert ours.outputs["deployment-id"] != theirs.outputs["deployment-id"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name", "mode", "pushed"),
    [
        ("push", "develop", "build", True),
        ("push", "topic", "test", False),
        ("pull_request", "topic", "test", False),
        ("fork", "main", "test", False),
    ],
)
def test_everything_else_goes_as_far_as_it_may(
    stage: Stage, kind: str, name: str, mode: str, pushed: bool
) -> None:
    stage.source.release("1.0.0")
    ours, _ = both(stage, kind, name)
    assert (ours.outcome, ours.outputs["mode"], ours.outputs["status"]) == ("success", mode, "success")
    assert bool(tags(stage)) == pushed
    assert stage.containers() == [] and ours.annotations == ()


@pytest.mark.long
def test_a_tag_deploys_nothing_with_both_runners(stage: Stage) -> None:
    stage.source.release("1.2.3")
    ours, _ = both(stage, "tag", "v1.2.3")
    assert (ours.outcome, ours.outputs["status"]) == ("success", "success")
    assert stage.containers() == []


@pytest.mark.long
def test_a_broken_image_fails_with_both_runners_and_the_same_words(stage: Stage) -> None:
    stage.source.write("backend/server.js", "throw new Error('PAYMENT_URL is not set');\n")
    stage.source.release("2.0.0")
    ours, _ = both(stage, "push", "main")
    assert (ours.outcome, ours.outputs["status"]) == ("failure", "failure")
    assert [one.kind for one in ours.annotations] == ["error"]
    assert stage.containers() == [] and tags(stage) == []
