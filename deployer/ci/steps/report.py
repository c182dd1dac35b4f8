"""`report`: the run's result, in every case. In: the state of the verbs. Out: all outputs, the summary, a
clean runner.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage, load_images
from deployer.ci.github import workflow_commands
from deployer.ci.github.job_summary import summary_of
from deployer.ci.steps.test import remove_stack
from deployer.core.build.run_mode import Mode

_CHANGED = "the state that the previous steps left for this one was changed"
_VERBS: Mapping[str, tuple[str, ...]] = {
    Mode.DEPLOY: ("build", "test", "push", "deploy"),
    Mode.BUILD: ("build", "test", "push"),
    Mode.TEST: ("build", "test"),
    Mode.SKIP: (),
}


def run() -> None:
    """Writes outputs and summary on every path, also without a decision, and always cleans up."""
    try:
        _tell()
    except (AttributeError, KeyError, TypeError, ValueError):
        _tell_nothing()
    finally:
        try:
            remove_stack()
        finally:
            run_state.clear()


def _tell() -> None:
    verdicts, images = run_state.verdicts(), load_images()
    decision = _decision(verdicts)
    deployment = run_state.load("deployment", {}) if decision["mode"] == Mode.DEPLOY else {}
    if decision["mode"] not in (Mode.DEPLOY, Mode.BUILD):
        images = [replace(image, digest="") for image in images]
    judged = judge(decision["mode"], verdicts)
    status = deployment.get("status") or judged
    for name, value in {**decision, **_outputs(images, deployment, status)}.items():
        workflow_commands.set_output(name, value)
    failed = judged == "failure"
    failure, hint = (_failure(verdicts), _hint(verdicts)) if failed else ("", "")
    if status != "success":
        failure = deployment.get("reason") or failure
    workflow_commands.add_summary(summary_of(decision, status, failure, hint, deployment, images, verdicts))


def _tell_nothing() -> None:
    """Reports a failure because the state of the verbs was changed."""
    mode = os.environ.get("DEPLOYER_DECIDED_MODE", "") or str(Mode.SKIP)
    outputs = {"mode": mode, "reason": _CHANGED, "environment": "", **_outputs([], {}, "failure")}
    for name, value in outputs.items():
        workflow_commands.set_output(name, value)
    workflow_commands.add_summary(f"### {mode}: failure\n\n{_CHANGED}")


def _decision(verdicts: Mapping[str, run_state.StepResult]) -> dict[str, str]:
    """Returns the decision that `decide` stored, if the workflow itself names the same mode: a test command
    could have overwritten it, and jobs that wait for this one trust the outputs.
    """
    kept, mode = run_state.load("decision"), os.environ.get("DEPLOYER_DECIDED_MODE", "")
    if isinstance(kept, dict) and mode == kept.get("mode"):
        return {name: str(kept.get(name, "")) for name in ("mode", "reason", "environment")}
    reason = _failure(verdicts) if not mode else _CHANGED
    return {"mode": mode or str(Mode.SKIP), "reason": reason, "environment": ""}


def judge(mode: str, verdicts: Mapping[str, run_state.StepResult]) -> str:
    """Returns `skipped`, or `success` if every verb of the mode has succeeded, else `failure`."""
    done = {verb for verb, verdict in verdicts.items() if verdict.done}
    if not {"decide", *_VERBS.get(mode, ())} <= done:
        return "failure"
    return "success" if _VERBS.get(mode) else "skipped"


def _outputs(images: Sequence[BuiltImage], deployment: Mapping[str, Any], status: str) -> dict[str, str]:
    """Returns the outputs other than the decision."""
    pushed = [image for image in images if image.digest]
    tags = sorted({f"{image.repository}:{tag}" for image in pushed for tag in image.tags})
    return {
        "url": str(deployment.get("environment_url") or ""),
        "images": json.dumps({image.service: _entry(image) for image in images}, sort_keys=True),
        "digests": json.dumps({image.service: image.digest for image in pushed}, sort_keys=True),
        "tags": "\n".join(tags),
        "changed": json.dumps(sorted(image.service for image in images if not image.reused)),
        "deployment-id": str(deployment.get("id", "")),
        "status": status,
        "previous": str(deployment.get("previous") or ""),
    }


def _failure(verdicts: Mapping[str, run_state.StepResult]) -> str:
    reasons = [f"{verb}: {verdict.reason}" for verb, verdict in verdicts.items() if not verdict.done]
    return reasons[0] if reasons else "the run has no decision"


def _hint(verdicts: Mapping[str, run_state.StepResult]) -> str:
    return next((verdict.hint for verdict in verdicts.values() if not verdict.done), "")


def _entry(image: BuiltImage) -> dict[str, Any]:
    reference = f"{image.repository}@{image.digest}" if image.digest else ""
    return {
        "image": image.repository,
        "tag": image.tag,
        "digest": image.digest,
        "ref": reference,
        "id": image.id,
        "reused": image.reused,
    }
