"""`plan`: the changes that the merge of a pull request would cause on the server. In: built images, the
server. Out: a summary, and one comment that stays up to date.

A plan never fails a pull request: without a server, a token or the server's permission nothing is shown, and
a failure is a notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.ci.built_images import load_images, require
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, environment, input_text, read_context, read_payload, server
from deployer.ci.github.job_summary import cut, table
from deployer.ci.github.permissions import may_request
from deployer.ci.github.pr_comment import publish
from deployer.ci.server.authentication import prove
from deployer.ci.server.deploy_request import request_of
from deployer.ci.steps.decide import rules_of
from deployer.core.build.branch_rules import Mode, find_rule
from deployer.core.errors import DeployerError
from deployer.core.refs import HEADS
from deployer.core.requests.deploy_request import encode_request
from deployer.io.http_client import call

_PATH = "/api/v1/plans"
_LONGEST_COMMENT = 60_000  # characters; GitHub takes 65,536
_TITLE = "deployer: no plan"


def run() -> None:
    """Shows the plan; a missing plan never fails the run."""
    context, payload = read_context(), read_payload()
    place = planned(context, payload)
    if not place or not input_text("server") or not may_request():
        workflow_commands.say(
            "no plan: it needs a pull request of this repository, a server and `id-token: write`"
        )
        return
    try:
        answer = _ask(context, place)
    except DeployerError as error:
        workflow_commands.notice(str(error), title=_TITLE)
        return
    if answer is not None:
        _show(context, payload, place, answer)


def planned(context: Context, payload: Mapping[str, Any]) -> str:
    """Returns the environment that the merge would deploy to; empty for forks and for branches without a
    deploy.
    """
    pull = payload.get("pull_request")
    if context.event != "pull_request" or not isinstance(pull, dict):
        return ""
    head, base = pull.get("head") or {}, pull.get("base") or {}
    own = (head.get("repo") or {}).get("id")
    if own is None or own != (base.get("repo") or {}).get("id"):
        return ""
    rule = find_rule(rules_of(environment()), f"{HEADS}{base.get('ref', '')}")
    return rule.environment if rule and rule.mode is Mode.DEPLOY else ""


def _ask(context: Context, place: str) -> Mapping[str, Any] | None:
    """Returns the plan; None if the server makes no plans for this environment."""
    origin = server()
    body, proof = prove(origin, encode_request(request_of(context, require("build"), place)))
    headers = {**proof, "Content-Type": "application/json", "Accept": "application/json"}
    answer = call("POST", f"{origin}{_PATH}", headers=headers, body=body, timeout=60)
    found = answer.table()
    if answer.status == 200:
        return found
    why = f"{origin} answers {answer.status}: {found.get('message', '')}".rstrip(": ")
    if answer.status in (403, 404):
        workflow_commands.say(f"no plan: {why}")
    else:
        workflow_commands.notice(why, title=_TITLE)
    return None


def _show(context: Context, payload: Mapping[str, Any], place: str, answer: Mapping[str, Any]) -> None:
    text = markdown(place, answer, {image.service: image.digest or image.id for image in load_images()})
    workflow_commands.add_summary(cut(text))
    workflow_commands.say(str(answer.get("plan", "")))
    token, number = input_text("github-token"), payload["pull_request"].get("number")
    if not token or not isinstance(number, int):
        return
    workflow_commands.mask(token)
    marker = f"<!-- deployer plan {context.repository.lower()} {place} {input_text('app')} -->"
    if problem := publish(context.repository, number, marker, text[:_LONGEST_COMMENT], token):
        workflow_commands.notice(
            f"the plan is in the summary only: {problem}; a comment needs `pull-requests: write`",
            title="deployer: no comment",
        )


def markdown(place: str, answer: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """Returns the plan for people; everything in it came from a branch and from outside. `images`: service →
    digest of the image tested here: the registry's if it is there already, else this runner's engine's.
    """
    changes, missing = answer.get("changes"), answer.get("missing_variables")
    lines = [f"### Merging this changes {workflow_commands.cell(place)}", ""]
    if isinstance(changes, dict) and changes:
        rows = ((str(name), str(word), images.get(str(name), "")) for name, word in changes.items())
        lines += table(("service", "change", "image tested here"), rows)
    if isinstance(missing, list) and missing:
        names = ", ".join(workflow_commands.cell(str(name)) for name in missing)
        lines += ["", f"**These variables have no value: {names}**"]
    return "\n".join([*lines, "", *_folded(str(answer.get("plan", "")))])


def _folded(plan: str) -> list[str]:
    safe = workflow_commands.plain(plan).replace("```", "'''")
    return ["<details><summary>Steps</summary>", "", "```text", safe, "```", "", "</details>"]
