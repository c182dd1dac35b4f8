"""POST /webhook. In: GitHub's deliveries. Out: 202 queued, or 200 with the reason why nothing starts."""

from __future__ import annotations

from flask import Blueprint, Response, request

from deployer.ingress.receiver import accept_delivery
from deployer.web.api.request_context import raw_body, the_receiver
from deployer.web.api.responses import receipt_answer
from deployer.web.api.webhook_fast_path import FAILED, WEBHOOK

hooks = Blueprint("hooks", __name__)


@hooks.post(WEBHOOK)
def receive() -> Response:
    """Answers the deliveries that the fast path left: a delivery that failed there, or one in another form
    than GitHub's.
    """
    if FAILED in request.environ:
        raise request.environ.pop(FAILED)  # its frames hold the body and must not outlive the answer
    receiver = the_receiver()
    receipt = accept_delivery(
        receiver,
        headers=dict(request.headers),
        raw=raw_body(),
        signature=request.headers.get("X-Hub-Signature-256"),
    )
    return receipt_answer(receipt, receiver.config.url)
