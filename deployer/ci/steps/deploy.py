"""`deploy`: asks the server to run the tested digests. In: images, Compose files. Out: the deployment's
result.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from deployer.ci import run_state
from deployer.ci.built_images import BuiltImage, require
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, read_context, server, timeout
from deployer.ci.images.registry_login import given_login
from deployer.ci.server.authentication import prove
from deployer.ci.server.confirm import Check
from deployer.ci.server.deploy_request import request_of, tested_of
from deployer.ci.server.follow import Followed, follow
from deployer.ci.server.verify_inputs import outside
from deployer.ci.steps.push import allow
from deployer.core.build.run_mode import Mode
from deployer.core.errors import DeployerError
from deployer.core.model import Credentials, Status
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import encode_request
from deployer.io.http_client import Answer, ServerUnavailable, call
from deployer.io.http_connections import is_loopback
from deployer.io.reachability import trace

# A server that restarts is back within these pauses, in seconds.
_PAUSES = (1, 2, 4, 8, 15)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,500}")
_PATH = "/api/v1/deployments"


class DeployRefused(DeployerError):
    """The server does not accept the request."""

    code = "deploy-refused"


class DeploymentFailed(DeployerError):
    """The deployment ended without the new release serving."""

    code = "deployment-failed"


def run() -> None:
    """Sends the request and follows the deployment to its end. Raises DeployRefused, DeploymentFailed,
    ServerUnavailable.
    """
    allow(Mode.DEPLOY)
    until = time.monotonic() + timeout()
    context, images, origin = read_context(), require("push"), server()
    request = request_of(
        context,
        images,
        run_state.load("decision")["environment"],
        credentials=_credentials(context, images),
        confirm=outside().confirm,
        tested=tested_of(images),
    )
    accepted = _send(origin, encode_request(request))
    if accepted.get("outcome") == Outcome.STALE:
        _keep({"id": "", "url": ""}, Status.INACTIVE, _text(accepted, "reason"))
        _say_inactive(_text(accepted, "reason"))
        return
    _keep(accepted, str(accepted.get("status", "")), "")
    workflow_commands.say(
        f"deployment {accepted['id']}: {accepted.get('outcome', '')} {accepted.get('reason', '')}".rstrip()
    )
    followed = _followed(origin, accepted)
    check = Check(followed, context.revision, outside())
    end = follow(followed, until, check.confirm)
    _keep(accepted, end.status, end.reason, {**end.record, "blank": end.blank})
    if end.status == Status.INACTIVE:
        _say_inactive(end.reason)
        return
    if end.status != Status.SUCCESS:
        raise DeploymentFailed(f"{end.status}: {end.reason}", hint=_hint(end.hint, str(accepted["id"])))
    workflow_commands.say(f"{end.status}: {end.reason}".rstrip(": "))
    check.finish(end)
    if check.seen:
        run_state.save("deployment", {**run_state.load("deployment"), "seen": check.seen.reason})


def _hint(of_server: str, id: str) -> str:
    """Returns the server's hint, and the command that shows all of the deployment there."""
    shown = f"`deployer show {id}` on the server has every event"
    return f"{of_server}\n{shown}" if of_server else shown


def _credentials(context: Context, images: list[BuiltImage]) -> Credentials | None:
    """Returns this run's login, with which the server pulls and which it then forgets; None for a loopback
    registry, which only the runner can reach.
    """
    login = given_login(context, images)
    if login is None or is_loopback(login.host):
        return None
    return Credentials(login.host, login.username, login.password)


def _send(origin: str, body: bytes) -> Mapping[str, Any]:
    """Sends the request, repeated only without an answer or after a 503; the server recognises a repeated
    request.
    """
    for pause in _PAUSES:
        try:
            answer = _post(origin, body)
        except ServerUnavailable as error:
            workflow_commands.say(f"{error}; trying again in {pause} s")
        else:
            if answer.status != 503:
                return _accepted(origin, answer)
            workflow_commands.say(f"{origin} is not ready (503); trying again in {pause} s")
        time.sleep(pause)
    try:
        answer = _post(origin, body)
    except ServerUnavailable as error:
        found = trace(origin)
        error.hint = f"tried: {found.told}\n{found.hint}"
        raise
    return _accepted(origin, answer)


def _post(origin: str, body: bytes) -> Answer:
    sent, proof = prove(origin, body)
    headers = {**proof, "Content-Type": "application/json", "Accept": "application/json"}
    return call("POST", f"{origin}{_PATH}", headers=headers, body=sent, timeout=60)


def _accepted(origin: str, answer: Answer) -> Mapping[str, Any]:
    table = answer.table()
    if answer.status not in (200, 202):
        raise DeployRefused(
            f"{origin} answers {answer.status}: {_reason(table, answer)}", hint=_text(table, "hint")
        )
    known = _ID.fullmatch(_text(table, "id")) and _TOKEN.fullmatch(_text(table, "read_token"))
    if not known or not _text(table, "events"):
        raise DeployRefused(
            f"{origin} answers {answer.status} without a deployment; is it the deployer's receiver?"
        )
    workflow_commands.mask(table["read_token"])
    return table


def _reason(table: Mapping[str, Any], answer: Answer) -> str:
    """Returns the reason from the server's answer, under any of its possible keys."""
    inner = table.get("error")
    found = [
        _text(source, key)
        for source in (table, inner or {})
        for key in ("message", "reason", "error", "code")
    ]
    return next(filter(None, found), answer.body[:200].decode("utf-8", "replace"))


def _text(table: object, key: str) -> str:
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) else ""


def _say_inactive(reason: str) -> None:
    """Writes a notice that this run's release does not serve, as a newer run's was accepted. That is no fault
    of the run, and its status is not `success`.
    """
    workflow_commands.notice(
        f"{Status.INACTIVE}: {reason}\nThe newer release stays. On the server, `deployer rollback"
        " --release ID` returns to an older one; `deployer history` shows the ids",
        title="deployer deploy",
    )


def _followed(origin: str, accepted: Mapping[str, Any]) -> Followed:
    try:
        events = urljoin(f"{origin}/", _text(accepted, "events"))
        place = urlsplit(events)
    except ValueError:
        events, place = "", urlsplit("")
    if place[:2] != urlsplit(origin)[:2]:
        raise DeployRefused(
            f"{origin} names {place.netloc or 'no host'} for the events; it must name its own host"
        )
    return Followed(
        f"{origin}{_PATH}/{accepted['id']}", events, accepted["read_token"], _text(accepted, "url")
    )


def _keep(
    accepted: Mapping[str, Any], status: str, reason: str, record: Mapping[str, Any] | None = None
) -> None:
    fields = {"id": accepted["id"], "url": _text(accepted, "url"), "status": status, "reason": reason}
    kept = {key: (record or {}).get(key) for key in ("previous", "measured", "blank")}
    page = _text(accepted, "environment_url") or outside().url
    run_state.save("deployment", {**fields, **kept, "app": _text(accepted, "app"), "environment_url": page})
