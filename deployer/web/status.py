"""GET /health. Out: 200 OK, or 503 Degraded when nothing could be accepted now."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from deployer import __version__
from deployer.web.context import the_intake

status = Blueprint("status", __name__)


@status.get("/health")
def health() -> Response:
    ready = the_intake().store.ready()
    answer = jsonify({"status": "OK" if ready else "Degraded", "version": __version__})
    answer.status_code = 200 if ready else 503
    return answer
