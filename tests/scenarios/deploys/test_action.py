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

from deployer.ci.images.manifests import find_manifest
from deployer.core.images import Image
from testing.client import WORKFLOW
from testing.github.act import run_with_act
from testing.github.action_runner import RunResult, run_action
from testing.stage import CANARIES, Stage
from testing.user_repository import SERVICES, forget

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


def both(stage: Stage, kind: str, name: str, *, anew: bool = False) -> tuple[RunResult, RunResult]:
    """The same event by act, which does all of the work, then by both runners from one state, where a user
    must see the same; act's first run and ours. The workflow has one step, so each run begins in an empty
    workspace. `anew`: nothing is in the registry before either, so each builds, tests and pushes.
    """
    stage.runner, stage.one_step = run_with_act, True
    first = stage.act(kind, name)
    results = []
    for runner in (run_action, run_with_act):
        if anew:
            empty_registry(stage)
        stage.runner = runner
        results.append(stage.act(kind, name))
    ours, theirs = results
    stage.runner = run_action
    assert seen(theirs) == seen(ours), f"{ours.log}\n--- act:\n{theirs.log}"
    return first, ours


def tags(stage: Stage, service: str = "backend") -> list[str]:
    """Those of a service's image in the registry."""
    path = stage.namespace.partition("/")[2]
    try:
        with urllib.request.urlopen(f"http://{stage.registry}/v2/{path}/shop-{service}/tags/list") as answer:
            return sorted(json.loads(answer.read())["tags"] or ())
    except urllib.error.HTTPError:
        return []


def empty_registry(stage: Stage) -> None:
    """Deletes every image of the shop."""
    for service in SERVICES:
        repository = f"{stage.namespace}/shop-{service}"
        while found := tags(stage, service):
            manifest = find_manifest(repository, found[0], "")
            assert manifest
            forget(Image(repository, manifest.digest))


def test_a_push_to_main_deploys_with_both_runners(stage: Stage) -> None:
    sha = stage.source.release("1.0.0")
    first, ours = both(stage, "push", "main")
    for run in (first, ours):
        assert (run.outcome, run.outputs["mode"], run.outputs["status"]) == (
            "success",
            "deploy",
            "success",
        ), run.log
        assert f"checked out {sha}" in run.log, "one step does it all"
    assert stage.serves() == "1.0.0" and f"sha-{sha}" in tags(stage)
    assert json.loads(first.outputs["changed"]) == ["backend", "frontend"]
    assert json.loads(ours.outputs["changed"]) == [] and ours.outputs["previous"] == sha
    assert ours.outputs["digests"] == first.outputs["digests"]
    tested = {image["id"] for image in json.loads(first.outputs["images"]).values()}
    running = {
        c["Image"]
        for c in stage.containers()
        if c["Config"]["Labels"]["com.docker.compose.oneoff"] == "False"
    }
    assert running == tested, "what runs is what was tested"
    assert ours.outputs["deployment-id"] != first.outputs["deployment-id"]


@pytest.mark.parametrize(
    ("kind", "name", "mode", "pushed"),
    [
        ("push", "develop", "build", True),
        pytest.param("push", "topic", "test", False, marks=pytest.mark.long),
        ("pull_request", "topic", "test", False),
        pytest.param("fork", "main", "test", False, marks=pytest.mark.long),
    ],
)
def test_everything_else_goes_as_far_as_it_may(
    stage: Stage, kind: str, name: str, mode: str, pushed: bool
) -> None:
    stage.source.release("1.0.0")
    _, ours = both(stage, kind, name, anew=pushed)
    assert (ours.outcome, ours.outputs["mode"], ours.outputs["status"]) == ("success", mode, "success")
    assert json.loads(ours.outputs["changed"]) == ["backend", "frontend"]
    assert bool(tags(stage)) == pushed
    assert stage.containers() == [] and ours.annotations == ()


@pytest.mark.long
def test_a_tag_deploys_nothing_with_both_runners(stage: Stage) -> None:
    sha = stage.source.release("1.2.3")
    _, ours = both(stage, "tag", "v1.2.3")
    assert (ours.outcome, ours.outputs["mode"], ours.outputs["status"]) == ("success", "build", "success")
    assert {"1.2.3", "1.2", f"sha-{sha}"} <= set(tags(stage)) and "latest" not in tags(stage)
    assert stage.containers() == []


@pytest.mark.long
def test_a_broken_image_fails_with_both_runners_and_the_same_words(stage: Stage) -> None:
    stage.source.write("backend/server.js", "throw new Error('PAYMENT_URL is not set');\n")
    stage.source.release("2.0.0")
    _, ours = both(stage, "push", "main")
    assert (ours.outcome, ours.outputs["status"]) == ("failure", "failure")
    assert [one.kind for one in ours.annotations] == ["error"]
    assert stage.containers() == [] and tags(stage) == []


@pytest.mark.long
def test_a_release_that_is_not_seen_from_outside_gives_way_to_the_one_before(stage: Stage) -> None:
    first = stage.source.release("1.0.0")
    stage.inputs = {"verify-url": f"{stage.web}/api/version"}
    run = stage.act("push", "main")
    assert (run.outcome, run.outputs["status"], run.outputs["previous"]) == ("success", "success", ""), (
        run.log
    )
    assert run.outputs["url"] == stage.web and "Seen from outside: it answers 200" in run.summary
    assert "Measured on the server: " in run.summary and "deployer rollback shop production" in run.summary

    stage.source.release("2.0.0")
    stage.inputs |= {"verify-revision": "true", "verify-timeout": "2"}  # the shop names no commit
    run = stage.act("push", "main")
    assert (run.outcome, run.outputs["status"], run.outputs["previous"]) == ("failure", "failure", first)
    (error,) = run.annotations
    assert "confirmation-failed" in error.text and "does not name the revision" in error.text
    assert stage.serves() == "1.0.0"


@pytest.mark.long
def test_a_job_without_a_token_deploys_by_the_webhook_secret(stage: Stage) -> None:
    """As on a GitHub Enterprise Server that gives jobs none; and nothing without either."""
    stage.reconfigure(f'workflow = "{WORKFLOW}"\n', "")
    sha = stage.source.release("1.0.0")

    def act() -> RunResult:
        return stage.act("push", "main", ACTIONS_ID_TOKEN_REQUEST_URL="", ACTIONS_ID_TOKEN_REQUEST_TOKEN="")

    refused = act()
    assert (refused.outcome, refused.outputs["deployment-id"]) == ("failure", "")
    assert "id-token: write" in refused.annotations[0].text and stage.containers() == []
    stage.inputs = {"secret": CANARIES["webhook"]}
    run = act()
    assert (run.outcome, run.outputs["status"]) == ("success", "success"), run.log
    assert stage.serves() == "1.0.0" and CANARIES["webhook"] not in run.log + run.summary
    assert sha[:7] in stage.cli("history", "shop", "production").stdout


@pytest.mark.long
def test_a_pull_request_hears_what_its_merge_would_change(stage: Stage) -> None:
    stage.source.release("1.0.0")
    assert stage.act("push", "main").outcome == "success"
    stage.reconfigure('project = "', 'plans = true\nproject = "')
    text = (stage.source.folder / "compose.yaml").read_text(encoding="utf-8")
    stage.source.write("backend/version.txt", "2.0.0\n")
    stage.source.write("compose.yaml", text.replace("CORS_ORIGIN:-", "CORS_ORIGIN}${STRIPE_KEY"))
    stage.source.commit("Take payments")
    before = {container["Id"] for container in stage.containers()}
    run = stage.act("pull_request", "topic", GITHUB_API_URL=stage.github.url)
    assert (run.outcome, run.outputs["mode"]) == ("success", "test"), run.log
    images = json.loads(run.outputs["images"])
    assert f"| backend | image | {images['backend']['id']} |" in run.summary, run.log
    assert re.search(r"\| frontend \| none \| sha256:[0-9a-f]{64} \|", run.summary)
    assert "STRIPE" in run.summary and stage.serves() == "1.0.0"
    assert {container["Id"] for container in stage.containers()} == before
    assert CANARIES["variable"] not in run.summary + run.log
