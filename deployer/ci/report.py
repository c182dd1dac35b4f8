"""`report`: what happened, always. In: what the verbs left. Out: all outputs, the summary, a clean runner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.ci import state, workflow
from deployer.ci.built import BuiltImage, load_images
from deployer.ci.summary import summary_of
from deployer.ci.test import remove_stack
from deployer.core.mode import Mode

_VERBS: Mapping[str, tuple[str, ...]] = {
    Mode.DEPLOY: ("build", "test", "push", "deploy"),
    Mode.BUILD: ("build", "test", "push"),
    Mode.TEST: ("build", "test"),
    Mode.SKIP: (),
}


def run() -> None:
    """Writes on every path, also where nothing was decided."""
    verdicts, images = state.verdicts(), load_images()
    decision = state.load("decision") or {
        "mode": str(Mode.SKIP),
        "reason": _failure(verdicts),
        "environment": "",
    }
    deployment = state.load("deployment", {})
    judged = judge(decision["mode"], verdicts)
    status = deployment.get("status") or judged
    for name, value in {**decision, **_outputs(images, deployment, status)}.items():
        workflow.set_output(name, value)
    failure = _failure(verdicts) if judged == "failure" else ""
    if status != "success":
        failure = deployment.get("reason") or failure
    workflow.add_summary(summary_of(decision, status, failure, deployment, images, verdicts))
    remove_stack()
    state.clear()


def judge(mode: str, verdicts: Mapping[str, state.Verdict]) -> str:
    """`skipped`, or `success` where every verb of the mode has done its part, else `failure`."""
    done = {verb for verb, verdict in verdicts.items() if verdict.done}
    if not {"decide", *_VERBS.get(mode, ())} <= done:
        return "failure"
    return "success" if _VERBS.get(mode) else "skipped"


def _outputs(images: Sequence[BuiltImage], deployment: Mapping[str, Any], status: str) -> dict[str, str]:
    """What stands beside the decision."""
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


def _failure(verdicts: Mapping[str, state.Verdict]) -> str:
    reasons = [f"{verb}: {verdict.reason}" for verb, verdict in verdicts.items() if not verdict.done]
    return reasons[0] if reasons else "nothing was decided"


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
