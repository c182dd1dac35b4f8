"""POST /webhook. In: GitHub's deliveries. Out: 202 queued, 200 for what starts nothing, with the reason."""

from __future__ import annotations

from flask import Blueprint, Response, request

from deployer.intake import accept_delivery
from deployer.web.answers import receipt_answer
from deployer.web.context import raw_body, the_intake

hooks = Blueprint("hooks", __name__)


@hooks.post("/webhook")
def receive() -> Response:
    intake = the_intake()
    receipt = accept_delivery(
        intake,
        headers=dict(request.headers),
        raw=raw_body(),
        signature=request.headers.get("X-Hub-Signature-256"),
    )
    return receipt_answer(receipt, intake.config.url)
