"""JSON answers. In: receipts, deployments, events. Out: dicts; their keys are the public interface."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import Response

from deployer.core.model import Deployment, Event
from deployer.core.queue.supersede import Outcome
from deployer.ingress.receiver import Receipt

HARDENED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}  # headers of every answer


def receipt_table(receipt: Receipt, server: str, page: str = "") -> tuple[int, dict[str, Any]]:
    """Returns 202 for a queued deployment and 200 for a request that was understood and starts nothing new,
    so that GitHub's page of webhook deliveries shows no error. `page` is the address that users open.
    """
    body: dict[str, Any] = {"outcome": receipt.outcome, "reason": receipt.reason}
    if receipt.deployment:
        url = _url(server, receipt.deployment.id)
        body |= {
            "id": receipt.deployment.id,
            "app": receipt.deployment.app,
            "status": receipt.deployment.status,
            "url": url,
            "events": f"{url}/events",
            "environment_url": page,
        }
    if receipt.read_token:
        body["read_token"] = receipt.read_token
    return 202 if receipt.outcome is Outcome.QUEUED else 200, body


def receipt_answer(receipt: Receipt, server: str, page: str = "") -> Response:
    status, body = receipt_table(receipt, server, page)
    return Response(json.dumps(body) + "\n", status, mimetype="application/json")


def deployment_table(deployment: Deployment, server: str) -> dict[str, Any]:
    """Returns the whole record; nothing in it is secret."""
    return asdict(deployment) | {"url": _url(server, deployment.id)}


def event_table(event: Event) -> dict[str, Any]:
    return {"n": event.n, "at": event.at, "kind": event.kind, "text": event.text}


def _url(server: str, id: str) -> str:
    return f"{server}/api/v1/deployments/{id}"
