"""The run's summary in GitHub's Markdown. In: the results of the verbs. Out: text, every foreign part of it
escaped and the whole far below GitHub's limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage
from deployer.ci.github import workflow_commands

MOST = 200_000  # characters; GitHub takes 1 MiB for a step
_CUT = "\n\n… the rest is cut off; the log has all of it."
_PERCENTILES = ("before", "during", "after")


def summary_of(
    decision: Mapping[str, str],
    status: str,
    failure: str,
    hint: str,
    deployment: Mapping[str, Any],
    images: Sequence[BuiltImage],
    verdicts: Mapping[str, run_state.StepResult],
) -> str:
    """Returns the summary. `failure`: the reason for the run's failure, empty if it did not fail; `hint`: the
    next step.
    """
    place = f" to {decision['environment']}" if decision["environment"] else ""
    lines = [f"### {workflow_commands.cell(decision['mode'] + place)}: {workflow_commands.cell(status)}", ""]
    lines.append(workflow_commands.cell(decision["reason"]))
    if failure:
        lines += ["", f"**{workflow_commands.cell(failure)}**"]
        lines += [f"\n{workflow_commands.cell(line)}" for line in hint.splitlines()]
    if images:
        rows = (_row(image, _stage(image, status, verdicts)) for image in images)
        lines += ["", *table(("service", "image", "seconds", "tag", "digest", "verdict"), rows)]
    lines += _deployment(deployment, status, decision["environment"])
    if verdicts:
        timed = ((verb, "done" if v.done else "failed", f"{v.seconds:.1f}") for verb, v in verdicts.items())
        lines += ["", *table(("step", "result", "seconds"), timed)]
    return cut("\n".join(lines))


def cut(text: str) -> str:
    """Returns the text, its end cut off above the limit for a summary."""
    return text if len(text) <= MOST else text[: MOST - len(_CUT)].rpartition("\n")[0] + _CUT


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *([workflow_commands.cell(value) for value in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _row(image: BuiltImage, stage: str) -> tuple[str, ...]:
    origin = "reused" if image.reused else "built"
    return (image.service, origin, f"{image.seconds:.1f}", image.tag, image.digest or "—", stage)


def _stage(image: BuiltImage, status: str, verdicts: Mapping[str, run_state.StepResult]) -> str:
    """Returns the last stage that this image reached."""
    if image.digest and "push" in verdicts:
        return "deployed" if "deploy" in verdicts and status == "success" else "tested and pushed"
    test = verdicts.get("test")
    if test is None:
        return "tested before" if image.reused else "built"
    return "tested" if test.done else "failed the test"


def _deployment(deployment: Mapping[str, Any], status: str, environment: str) -> Iterator[str]:
    if not deployment.get("id"):
        return
    yield ""
    if isinstance(deployment.get("measured"), Mapping):
        yield f"Measured on the server: {_measured(deployment['measured'])}"
    if deployment.get("blank"):
        yield f"**Variables are {workflow_commands.cell(str(deployment['blank']))}**"
        yield ""
    if deployment.get("seen"):
        yield f"Seen from outside: {workflow_commands.cell(str(deployment['seen']))}"
    if deployment.get("environment_url"):
        yield f"Address: {workflow_commands.link(deployment['environment_url'])}"
    if deployment.get("previous"):
        yield f"Served before: {workflow_commands.cell(str(deployment['previous'])[:7])}"
    id = workflow_commands.cell(deployment["id"])
    yield f"Deployment: {id}; on the server: deployer show {id}"
    if status == "success" and deployment.get("app"):
        words = f"deployer rollback {deployment['app']} {environment}"
        yield f"Roll back on the server: {workflow_commands.cell(words)}"


def _measured(measured: Mapping[str, Any]) -> str:
    """Describes the availability that the server measured through the edge during the deployment."""
    told = [f"{measured.get('requests')} requests, {measured.get('failed')} failed"]
    gap = measured.get("longest_gap_ms")
    if isinstance(gap, int | float):
        told.append(f"longest gap {gap:.0f} ms")
    times = measured.get("p95_ms")
    if isinstance(times, Mapping):
        known = [
            f"{times[when]:.0f}" if isinstance(times.get(when), int | float) else "—" for when in _PERCENTILES
        ]
        told.append(f"p95 {' / '.join(known)} ms before / during / after")
    return workflow_commands.cell("; ".join(told))
