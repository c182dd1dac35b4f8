"""`report`: what happened, always. In: what the verbs left. Out: all outputs, the summary, a clean runner."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deployer.ci import state, workflow
from deployer.ci.built import BuiltImage, load_images
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
    status = deployment.get("status") or judge(decision["mode"], verdicts)
    outputs = {
        **decision,
        "images": json.dumps({image.service: _entry(image) for image in images}, sort_keys=True),
        "deployment-id": str(deployment.get("id", "")),
        "status": status,
    }
    for name, value in outputs.items():
        workflow.set_output(name, value)
    workflow.add_summary(_summary(decision, status, deployment, images, verdicts))
    remove_stack()
    state.clear()


def judge(mode: str, verdicts: Mapping[str, state.Verdict]) -> str:
    """`skipped`, or `success` where every verb of the mode has done its part, else `failure`."""
    done = {verb for verb, verdict in verdicts.items() if verdict.done}
    if not {"decide", *_VERBS.get(mode, ())} <= done:
        return "failure"
    return "success" if _VERBS.get(mode) else "skipped"


def _failure(verdicts: Mapping[str, state.Verdict]) -> str:
    reasons = [f"{verb}: {verdict.reason}" for verb, verdict in verdicts.items() if not verdict.done]
    return reasons[0] if reasons else "nothing was decided"


def _entry(image: BuiltImage) -> dict[str, str]:
    reference = f"{image.repository}@{image.digest}" if image.digest else ""
    return {
        "image": image.repository,
        "tag": image.tag,
        "digest": image.digest,
        "ref": reference,
        "id": image.id,
    }


def _summary(
    decision: Mapping[str, str],
    status: str,
    deployment: Mapping[str, Any],
    images: Sequence[BuiltImage],
    verdicts: Mapping[str, state.Verdict],
) -> str:
    place = f" to {decision['environment']}" if decision["environment"] else ""
    lines = [f"### {workflow.cell(decision['mode'] + place)}: {workflow.cell(status)}", ""]
    lines.append(workflow.cell(decision["reason"]))
    reason = deployment.get("reason") or (_failure(verdicts) if status == "failure" else "")
    if reason:
        lines += ["", f"**{workflow.cell(reason)}**"]
    if images:
        rows = (
            (image.service, image.tag, image.digest or "—", _stage(image, status, verdicts))
            for image in images
        )
        lines += ["", *_table(("service", "tag", "digest", "verdict"), rows)]
    if verdicts:
        timed = ((verb, "done" if v.done else "failed", f"{v.seconds:.1f}") for verb, v in verdicts.items())
        lines += ["", *_table(("step", "result", "seconds"), timed)]
    if deployment.get("id"):
        lines += ["", f"Deployment {workflow.cell(deployment['id'])} {workflow.cell(deployment['url'])}"]
    return "\n".join(lines)


def _stage(image: BuiltImage, status: str, verdicts: Mapping[str, state.Verdict]) -> str:
    """How far this image came."""
    if image.digest:
        return "deployed" if "deploy" in verdicts and status == "success" else "tested and pushed"
    test = verdicts.get("test")
    if test is None:
        return "built"
    return "tested" if test.done else "failed the test"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([workflow.cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
