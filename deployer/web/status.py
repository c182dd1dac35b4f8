"""GET /health. Out: 200 OK; 200 Degraded while no process deploys what is accepted; 503 Degraded when nothing
could be accepted now.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from deployer import __version__
from deployer.web.context import the_intake

status = Blueprint("status", __name__)
HAS_WORKER = "deployer.has_worker"  # app extension: whether some process works on the queue


@status.get("/health")
def health() -> Response:
    ready = the_intake().store.ready()
    working = current_app.extensions.get(HAS_WORKER, _always)()
    table = {"status": "OK" if ready and working else "Degraded", "version": __version__}
    answer = jsonify(table if working else {**table, "message": "no worker runs: what is accepted waits"})
    answer.status_code = 200 if ready else 503
    return answer


def _always() -> bool:
    return True
