"""A deploy request that is signed with a webhook secret: who may send it, and that it is good once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import DeployerError, Forbidden, PayloadRejected, SignatureMismatch, TokenRejected
from deployer.core.model import Run
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import encode_request
from deployer.core.requests.signed_request import RequestSignature, sign, stamped
from deployer.ingress.deployments import read_deployment
from deployer.ingress.receiver import Receipt, Receiver, accept_delivery, accept_request
from testing.receiver.receiver_inputs import (
    SECRET,
    URL,
    body_of,
    config_of,
    deploy_request,
    headers_of,
    open_store,
    receiver_of,
    run_payload,
)
from testing.receiver.senders import count

NONCE = "ab" * 16


def signed(
    receiver: Receiver, *, secret: bytes = SECRET, nonce: str = NONCE, **changes: Any
) -> tuple[bytes, str]:
    at = int(receiver.clock.now()) + int(changes.pop("later", 0))
    server = changes.pop("server", URL)
    raw = stamped(encode_request(deploy_request(**changes)), RequestSignature(server, at, nonce))
    return raw, sign(raw, secret)


def send(receiver: Receiver, raw: bytes, signature: str) -> Receipt:
    return accept_request(receiver, raw=raw, bearer=None, signature=signature)


def test_a_signed_request_is_queued_and_can_be_followed(store: SqliteStore) -> None:
    receiver = receiver_of(store)
    receipt = send(receiver, *signed(receiver, variables={"STRIPE_KEY": "canary"}))
    assert receipt.outcome is Outcome.QUEUED and receipt.deployment
    assert (
        read_deployment(receiver, id=receipt.deployment.id, bearer=receipt.read_token) == receipt.deployment
    )
    claimed = store.queue.claim(1.0)
    assert claimed and claimed[1].variables == {"STRIPE_KEY": "canary"} and "canary" not in repr(claimed)


def test_it_is_taken_once_also_after_a_restart(store: SqliteStore, tmp_path: Any) -> None:
    receiver = receiver_of(store)
    sent = signed(receiver)
    send(receiver, *sent)
    again = open_store(tmp_path)
    for one in (receiver, receiver_of(again)):
        with pytest.raises(TokenRejected, match="signed request was used before"):
            send(one, *sent)
    again.close()
    assert count(store, "deployment") == 1
    assert send(receiver, *signed(receiver, nonce="cd" * 16)).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"later": -301}, TokenRejected),
        ({"later": 302}, TokenRejected),
        ({"server": "https://staging.example.com"}, TokenRejected),
        ({"secret": b"another secret that is long enough"}, SignatureMismatch),
        ({"repository": "acme/bank"}, Forbidden),
        ({"environment": "staging"}, DeployerError),
    ],
)
def test_what_does_not_fit_starts_nothing(
    store: SqliteStore, changes: dict[str, Any], refused: type[DeployerError]
) -> None:
    receiver = receiver_of(store)
    with pytest.raises(refused):
        send(receiver, *signed(receiver, **changes))
    assert count(store, "deployment") == count(store, "proof") == 0


def test_the_signature_fits_no_other_body(store: SqliteStore) -> None:
    receiver = receiver_of(store)
    raw, signature = signed(receiver)
    other, _ = signed(receiver, run=Run(13, 1))
    for body in (other, raw + b" ", raw.replace(b"production", b"productioN")):
        with pytest.raises(SignatureMismatch):
            send(receiver, body, signature)


def test_a_webhook_is_no_deploy_request_and_the_reverse(store: SqliteStore) -> None:
    receiver = receiver_of(store)
    delivery = body_of(run_payload())
    with pytest.raises(PayloadRejected, match="stamp"):
        send(receiver, delivery, sign(delivery, SECRET))
    raw, signature = signed(receiver)
    with pytest.raises(PayloadRejected):
        accept_delivery(receiver, headers=headers_of("workflow_run"), raw=raw, signature=signature)
    assert count(store, "deployment") == 0


def test_an_environment_that_asks_for_more_takes_none(store: SqliteStore) -> None:
    for settings in ({"require_environment_claim": True}, {"workflow": ".github/workflows/deploy.yml"}):
        receiver = receiver_of(store, config_of(**settings))
        with pytest.raises(Forbidden, match="cannot show"):
            send(receiver, *signed(receiver))


def test_an_app_without_webhook_secrets_takes_none(store: SqliteStore) -> None:
    receiver = receiver_of(store)
    with pytest.raises(SignatureMismatch):
        send(replace(receiver, secrets={"shop": []}), *signed(receiver))


def test_with_a_bearer_token_the_token_decides(store: SqliteStore) -> None:
    receiver = receiver_of(store)
    raw, signature = signed(receiver)
    with pytest.raises(TokenRejected):
        accept_request(receiver, raw=raw, bearer="a.b.c", signature=signature)
