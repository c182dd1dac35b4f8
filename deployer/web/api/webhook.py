"""POST /webhook. In: GitHub's deliveries. Out: 202 queued, 200 for what starts nothing, with the reason."""

from __future__ import annotations

from flask import Blueprint, Response, request

from deployer.ingress.receiver import accept_delivery
from deployer.web.api.request_context import raw_body, the_intake
from deployer.web.api.responses import receipt_answer
from deployer.web.api.webhook_fast_path import FAILED, WEBHOOK

hooks = Blueprint("hooks", __name__)


@hooks.post(WEBHOOK)
def receive() -> Response:
    """What the short way left: a delivery that failed there, or one that is not as GitHub sends them."""
    if FAILED in request.environ:
        raise request.environ.pop(FAILED)  # its frames hold the body: nothing may keep it after the answer
    intake = the_intake()
    receipt = accept_delivery(
        intake,
        headers=dict(request.headers),
        raw=raw_body(),
        signature=request.headers.get("X-Hub-Signature-256"),
    )
    return receipt_answer(receipt, intake.config.url)
