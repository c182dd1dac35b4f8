"""The deploy interface, /api/v1. In: requests with a bearer token. Out: receipts, records, streams."""

from __future__ import annotations

import re
from dataclasses import asdict

from flask import Blueprint, Response, current_app, jsonify, request

from deployer.core.errors import PayloadRejected
from deployer.core.http.strict_json import parse_object
from deployer.core.model import Kind
from deployer.core.requests.signed_request import SIGNATURE
from deployer.ingress.deployments import confirm, read_deployment, read_events
from deployer.ingress.plan_requests import accept_plan
from deployer.ingress.receiver import Receipt, accept_manual, accept_request, person
from deployer.ingress.tested_images import find_tested
from deployer.web.api.event_streams import Streams
from deployer.web.api.request_context import bearer, raw_body, the_receiver
from deployer.web.api.responses import deployment_table, event_table, receipt_answer

deployments = Blueprint("deployments", __name__, url_prefix="/api/v1")
_NUMBER = re.compile(r"[0-9]{1,9}")
_RELEASE = re.compile(r"[0-9a-f]{1,64}")


@deployments.post("/deployments")
def create() -> Response:
    receiver = the_receiver()
    receipt = accept_request(
        receiver, raw=raw_body(), bearer=bearer(), signature=request.headers.get(SIGNATURE)
    )
    return receipt_answer(receipt, receiver.config.url, _page(receipt))


@deployments.post("/plans")
def plan() -> Response:
    """Returns the changes that a pull request would cause."""
    return jsonify(asdict(accept_plan(the_receiver(), raw=raw_body(), bearer=bearer())))


@deployments.post("/tested-images")
def tested_images() -> Response:
    """Returns the images of a deploying run that are proven already."""
    known = find_tested(the_receiver(), raw=raw_body(), bearer=bearer())
    return jsonify(
        {"images": {name: str(image) for name, image in known.images.items()}, "tested": known.tested}
    )


@deployments.get("/deployments/<id>")
def show(id: str) -> Response:
    """Returns the record; with `?after=N`, for polling clients, also the events after number N."""
    receiver = the_receiver()
    deployment = read_deployment(receiver, id=id, bearer=bearer())
    body = deployment_table(deployment, receiver.config.url)
    if "after" in request.args:
        after = request.args["after"]
        if not _NUMBER.fullmatch(after):
            raise PayloadRejected("after: should be the number of the last event that is known")
        body["events"] = [event_table(event) for event in read_events(receiver, deployment, int(after))]
    return jsonify(body)


@deployments.get("/deployments/<id>/events")
def follow(id: str) -> Response:
    """Streams the events as server-sent events, starting after `Last-Event-ID`."""
    deployment = read_deployment(the_receiver(), id=id, bearer=bearer())
    last = request.headers.get("Last-Event-ID", "")
    streams = current_app.extensions[Streams.KEY]
    assert isinstance(streams, Streams)
    return streams.open(deployment, int(last) if _NUMBER.fullmatch(last) else 0)


@deployments.post("/deployments/<id>/confirmation")
def confirm_release(id: str) -> Response:
    """Records the external confirmation that a serving release may stay, or must not."""
    receiver = the_receiver()
    deployment = confirm(receiver, id=id, bearer=bearer(), raw=raw_body())
    return jsonify(deployment_table(deployment, receiver.config.url))


@deployments.post("/apps/<app>/<environment>/redeploy")
def redeploy(app: str, environment: str) -> Response:
    return _manual(app, environment, Kind.REDEPLOY)


@deployments.post("/apps/<app>/<environment>/rollback")
def roll_back(app: str, environment: str) -> Response:
    return _manual(app, environment, Kind.ROLLBACK)


def _manual(app: str, environment: str, kind: Kind) -> Response:
    receiver = the_receiver()
    release, run_tasks = _wanted(raw_body())
    receipt = accept_manual(
        receiver,
        principal=person(receiver, bearer()),
        app=app,
        environment=environment,
        kind=kind,
        release=release,
        run_tasks=run_tasks,
    )
    return receipt_answer(receipt, receiver.config.url, _page(receipt))


def _page(receipt: Receipt) -> str:
    """Returns the environment's address if its settings name one."""
    assert receipt.deployment
    return the_receiver().config.app(receipt.deployment.app).environment(receipt.deployment.environment).url


def _wanted(raw: bytes) -> tuple[str, bool]:
    """Parses an optional body: the release's id, and `run_tasks` for its one-shot tasks."""
    body = parse_object(raw) if raw else {}
    release, run_tasks = body.pop("release", ""), body.pop("run_tasks", False)
    right = isinstance(run_tasks, bool) and isinstance(release, str)
    if body or not right or (release and not _RELEASE.fullmatch(release)):
        raise PayloadRejected('the body should be empty or {"release": ID, "run_tasks": true}, either alone')
    return release, run_tasks
