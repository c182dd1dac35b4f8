"""Short ways to send requests to a receiver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.auth.api_tokens import Right
from deployer.core.images import Image
from deployer.core.model import Deployment, Release, Run, Status
from deployer.core.requests.deploy_request import encode_request
from deployer.ingress.receiver import Receipt, Receiver, accept_delivery, accept_request
from testing.github.oidc_issuer import CLAIMS
from testing.receiver.receiver_inputs import BUNDLE, DIGEST, body_of, deploy_request, headers_of, sign


def deliver(
    receiver: Receiver, payload: dict[str, Any], event: str = "workflow_run", **changes: Any
) -> Receipt:
    raw = body_of(payload, form=changes.pop("form", False))
    fields = {"headers": headers_of(event), "raw": raw, "signature": sign(raw), **changes}
    return accept_delivery(receiver, **fields)


def count(store: SqliteStore, table: str) -> int:
    return int(store._database.read(f"SELECT count(*) FROM {table}")[0][0])


def token(
    receiver: Receiver, *can: Right, name: str = "anna", app: str = "shop", expires_at: float | None = None
) -> str:
    rights = frozenset(can)
    return receiver.store.tokens.create(name=name, app=app, can=rights, expires_at=expires_at, now=1.0)


def served(receiver: Receiver, number: int, revision: str) -> Deployment:
    """Returns a successful deployment with its own release."""
    raw = encode_request(deploy_request(run=Run(number, 1), revision=revision))
    claims = {"run_number": str(number), "sha": revision}
    oidc = replace(receiver, verify_token=lambda _token, _audience: _claims(number, **claims))
    accept_request(oidc, raw=raw, bearer="a.b.c")
    claimed = receiver.store.queue.claim(1.0)
    assert claimed
    images = {"web": Image("ghcr.io/acme/shop-web", DIGEST)}
    receiver.store.releases.save(claimed[0].id, Release("", "shop", revision, images, BUNDLE, {}), 0.0)
    return receiver.store.queue.finish(claimed[0].id, Status.SUCCESS, "", 2.0)


def _claims(number: int, **claims: object) -> dict[str, object]:
    return {**CLAIMS, "jti": f"jti-{number}", "exp": 9e9, **claims}
