"""GET /health. Out: 200 OK; 200 Degraded while no process deploys accepted jobs, or Docker does not answer
that process; 503 Degraded when the receiver could accept nothing now.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from deployer import __version__
from deployer.web.api.request_context import the_receiver

status = Blueprint("status", __name__)
HAS_WORKER = "deployer.has_worker"  # app extension: True if a process works on the queue
HAS_ENGINE = "deployer.has_engine"  # app extension: True if Docker answered the last request


@status.get("/health")
def health() -> Response:
    ready = the_receiver().store.ready()
    message = _message()
    table = {"status": "Degraded" if message or not ready else "OK", "version": __version__}
    answer = jsonify({**table, "message": message} if message else table)
    answer.status_code = 200 if ready else 503
    return answer


def _message() -> str:
    if not current_app.extensions.get(HAS_WORKER, _always)():
        return "no worker runs: accepted jobs wait"
    if not current_app.extensions.get(HAS_ENGINE, _always)():
        return "Docker does not answer the worker: accepted jobs fail; `deployer status` says why"
    return ""


def _always() -> bool:
    return True
