"""From a request of the action or a person to a receipt, and reading on, with a real store and issuer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.errors import DeployerError, Forbidden, NotFound, PayloadRejected, TokenRejected
from deployer.core.images import Image
from deployer.core.model import Credentials, Kind, Run
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import audience_of, encode_request
from deployer.ingress.deployments import read_deployment, read_events
from deployer.ingress.receiver import (
    Receipt,
    Receiver,
    accept_delivery,
    accept_manual,
    accept_request,
    person,
)
from testing.github.oidc_issuer import Issuer
from testing.receiver.receiver_inputs import (
    SECRET,
    URL,
    body_of,
    deploy_request,
    headers_of,
    run_payload,
    sign,
)
from testing.receiver.senders import count, deliver, served, token


def test_the_actions_request_is_queued_and_can_be_followed(receiver: Receiver, issuer: Issuer) -> None:
    login = Credentials("ghcr.io", "octocat", "secret")
    raw = encode_request(deploy_request(credentials=login))
    receipt = accept_request(receiver, raw=raw, bearer=issuer.mint(audience_of(URL, raw)))
    assert receipt.outcome is Outcome.QUEUED and receipt.deployment
    assert (receipt.deployment.actor, receipt.deployment.trigger) == ("octocat", "action")
    read = read_deployment(receiver, id=receipt.deployment.id, bearer=receipt.read_token)
    assert read == receipt.deployment
    assert [event.kind for event in read_events(receiver, read, 0)] == ["enqueue"]
    assert receipt.read_token not in repr(receipt)
    claimed = receiver.store.queue.claim(1.0)
    assert claimed and claimed[1].credentials == login


@pytest.mark.case("E01")
def test_a_token_for_one_body_does_not_bring_another(
    receiver: Receiver, issuer: Issuer, store: SqliteStore
) -> None:
    raw = encode_request(deploy_request())
    other = encode_request(
        deploy_request(images={"web": Image("ghcr.io/acme/shop-web", "sha256:" + "c" * 64)})
    )
    bearer = issuer.mint(audience_of(URL, raw))
    for sent, audience in [
        (other, bearer),
        (raw, issuer.mint(audience_of("https://other.example.com", raw))),
    ]:
        with pytest.raises(TokenRejected, match="audience"):
            accept_request(receiver, raw=sent, bearer=audience)
    assert count(store, "deployment") == 0


@pytest.mark.case("E01")
def test_a_token_is_taken_once_and_a_new_one_for_the_same_run_finds_the_deployment(
    receiver: Receiver, issuer: Issuer
) -> None:
    raw = encode_request(deploy_request())
    bearer = issuer.mint(audience_of(URL, raw))
    first = accept_request(receiver, raw=raw, bearer=bearer)
    with pytest.raises(TokenRejected, match="before"):
        accept_request(receiver, raw=raw, bearer=bearer)
    again = accept_request(receiver, raw=raw, bearer=issuer.mint(audience_of(URL, raw)))
    assert again.outcome is Outcome.DUPLICATE
    assert first.deployment and again.deployment
    assert read_deployment(receiver, id=first.deployment.id, bearer=again.read_token) == first.deployment


@pytest.mark.parametrize("bearer", [None, "", "abc", "a.b.c", "dpl_unknown", "dpl_\udce9", "dpr_x"])
def test_without_a_valid_token_nothing_of_the_body_is_read(receiver: Receiver, bearer: str | None) -> None:
    with pytest.raises(TokenRejected):
        accept_request(receiver, raw=b"\xff not even JSON", bearer=bearer)


def test_a_valid_token_with_an_unreadable_body_is_the_bodys_fault(receiver: Receiver, issuer: Issuer) -> None:
    with pytest.raises(PayloadRejected):
        accept_request(receiver, raw=b"[]", bearer=issuer.mint(audience_of(URL, b"[]")))


def test_a_claim_that_does_not_fit_queues_nothing(
    receiver: Receiver, issuer: Issuer, store: SqliteStore
) -> None:
    raw = encode_request(deploy_request())
    with pytest.raises(Forbidden, match="ref"):
        accept_request(receiver, raw=raw, bearer=issuer.mint(audience_of(URL, raw), ref="refs/heads/evil"))
    assert count(store, "deployment") == 0


def test_a_person_may_send_a_whole_request(receiver: Receiver) -> None:
    raw = encode_request(deploy_request(run=Run()))
    receipt = accept_request(receiver, raw=raw, bearer=token(receiver, Right.DEPLOY))
    assert receipt.deployment and receipt.read_token
    assert (receipt.outcome, receipt.deployment.actor, receipt.deployment.trigger) == (
        Outcome.QUEUED,
        "anna",
        "api",
    )


@pytest.mark.parametrize("rights", [(), (Right.READ,), (Right.REDEPLOY, Right.ROLLBACK)])
def test_a_person_without_the_right_may_not(receiver: Receiver, rights: tuple[Right, ...]) -> None:
    with pytest.raises(Forbidden):
        accept_request(receiver, raw=encode_request(deploy_request()), bearer=token(receiver, *rights))


def test_a_persons_token_ends_when_it_expires_or_is_revoked(receiver: Receiver) -> None:
    past = token(receiver, Right.DEPLOY, expires_at=2.0)
    with pytest.raises(TokenRejected, match="expired"):
        person(receiver, past)
    current = token(receiver, Right.DEPLOY, name="ben", expires_at=9e9)
    assert person(receiver, current).name == "ben"
    assert [item.name for item in receiver.store.tokens.all()] == ["anna", "ben"]
    receiver.store.tokens.revoke("ben", 0.0)
    with pytest.raises(TokenRejected, match="not known"):
        person(receiver, current)
    with pytest.raises(NotFound):
        receiver.store.tokens.revoke("ben", 0.0)


def test_two_tokens_cannot_have_one_name(receiver: Receiver) -> None:
    token(receiver)
    with pytest.raises(DeployerError, match="anna"):
        token(receiver)


ANNA = Token("anna", "shop", frozenset(Right), 0.0, None)


def manual(receiver: Receiver, kind: Kind, **changes: Any) -> Receipt:
    fields = {"principal": ANNA, "app": "shop", "environment": "production", "kind": kind, **changes}
    return accept_manual(receiver, **fields)


def wanted(receipt: Receipt) -> tuple[str, str, Kind]:
    assert receipt.deployment and receipt.outcome is Outcome.QUEUED and receipt.read_token
    return receipt.deployment.release, receipt.deployment.revision, receipt.deployment.kind


def test_a_redeploy_means_the_release_that_serves(receiver: Receiver) -> None:
    first, second = served(receiver, 1, "a" * 40), served(receiver, 2, "b" * 40)
    assert wanted(manual(receiver, Kind.REDEPLOY)) == (second.release, "b" * 40, Kind.REDEPLOY)
    assert wanted(manual(receiver, Kind.REDEPLOY, release=first.release)) == (
        first.release,
        "a" * 40,
        Kind.REDEPLOY,
    )


@pytest.mark.case("B08")
def test_a_rollback_means_the_release_before_it(receiver: Receiver) -> None:
    first, _ = served(receiver, 1, "a" * 40), served(receiver, 2, "b" * 40)
    assert wanted(manual(receiver, Kind.ROLLBACK)) == (first.release, "a" * 40, Kind.ROLLBACK)


def test_a_rollback_during_a_rollout_means_what_served_before_the_rollout(receiver: Receiver) -> None:
    _, second = served(receiver, 1, "a" * 40), served(receiver, 2, "b" * 40)
    deliver(receiver, run_payload(run_number=3))
    assert receiver.store.queue.claim(3.0)
    assert wanted(manual(receiver, Kind.ROLLBACK))[0] == second.release


def test_there_must_be_something_to_go_back_to(receiver: Receiver) -> None:
    for kind in (Kind.REDEPLOY, Kind.ROLLBACK):
        with pytest.raises(NotFound, match="nothing was deployed"):
            manual(receiver, kind)
    served(receiver, 1, "a" * 40)
    with pytest.raises(NotFound, match="no earlier release"):
        manual(receiver, Kind.ROLLBACK)


@pytest.mark.case("B08", "E05")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"app": "bank"}, Forbidden),
        ({"principal": replace(ANNA, can=frozenset({Right.READ, Right.ROLLBACK}))}, Forbidden),
        ({"principal": replace(ANNA, app="bank")}, Forbidden),
        ({"environment": "staging"}, NotFound),
        ({"release": "0123"}, NotFound),
    ],
)
def test_a_person_is_held_to_app_right_and_what_there_is(
    receiver: Receiver, changes: dict[str, Any], error: type[Exception]
) -> None:
    served(receiver, 1, "a" * 40)
    with pytest.raises(error):
        manual(receiver, Kind.REDEPLOY, **changes)


def test_another_apps_release_cannot_be_deployed(receiver: Receiver, store: SqliteStore) -> None:
    mine = served(receiver, 1, "a" * 40)
    foreign = store.releases.save(mine.id, replace(store.releases.get(mine.release), app="bank"), 0.0)
    with pytest.raises(NotFound):
        manual(receiver, Kind.REDEPLOY, release=foreign.id)


def test_a_deployment_is_read_with_its_own_token_or_a_persons(receiver: Receiver, issuer: Issuer) -> None:
    receipts = []
    for number in (12, 13):
        raw = encode_request(deploy_request(run=Run(number, 1)))
        bearer = issuer.mint(audience_of(URL, raw), run_number=str(number))
        receipts.append(accept_request(receiver, raw=raw, bearer=bearer))
    first, second = receipts
    assert first.deployment and second.deployment
    reader = token(receiver, Right.READ)
    assert read_deployment(receiver, id=first.deployment.id, bearer=reader).id == first.deployment.id
    for other in (None, "", second.read_token, "dpl_x"):
        with pytest.raises(TokenRejected):
            read_deployment(receiver, id=first.deployment.id, bearer=other)
    with pytest.raises(Forbidden):
        read_deployment(receiver, id=first.deployment.id, bearer=token(receiver, Right.DEPLOY, name="ben"))


@pytest.mark.case("E05")
def test_another_apps_deployment_reads_as_one_that_does_not_exist(receiver: Receiver) -> None:
    receipt = deliver(receiver, run_payload())
    assert receipt.deployment
    stranger = token(receiver, *Right, app="bank")
    answers = set()
    for id in (receipt.deployment.id, "0123"):
        with pytest.raises(NotFound) as refused:
            read_deployment(receiver, id=id, bearer=stranger)
        answers.add(refused.value.diagnostics())
    assert len(answers) == 1


def test_what_arrives_shows_no_secret_when_it_is_printed(receiver: Receiver) -> None:
    raw = body_of({**run_payload(), "canary": "canary-in-the-payload"})
    receipt = accept_delivery(receiver, headers=headers_of("workflow_run"), raw=raw, signature=sign(raw))
    assert "canary" not in repr(receipt)
    assert SECRET.decode() not in repr(receiver)
    assert json.loads(raw)["canary"]
