"""From a delivery to a receipt, with a real store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.config.settings import load_config
from deployer.core.errors import DeployerError, SignatureMismatch, StoreUnavailable
from deployer.core.model import Run, Status
from deployer.core.queue.supersede import Outcome
from deployer.ingress.receiver import Receiver, accept_delivery
from testing.receiver.receiver_inputs import (
    REVISION,
    SECRET,
    body_of,
    config_table,
    fixture,
    headers_of,
    receiver_of,
    run_payload,
    sign,
)
from testing.receiver.senders import count, deliver


def test_a_signed_run_is_queued_before_the_receipt_is_there(receiver: Receiver, tmp_path: Path) -> None:
    receipt = deliver(receiver, run_payload())
    assert receipt.outcome is Outcome.QUEUED and receipt.deployment and not receipt.read_token
    rows = sqlite3.connect(tmp_path / "deployer.db").execute("SELECT id, status, revision FROM deployment")
    assert rows.fetchall() == [(receipt.deployment.id, "queued", REVISION)]
    assert receipt.deployment.trigger == "webhook"


@pytest.mark.case("B01", "B02")
def test_the_same_delivery_again_is_a_duplicate_also_with_a_new_guid_and_as_a_form(
    receiver: Receiver,
) -> None:
    first = deliver(receiver, run_payload())
    again = [
        deliver(receiver, run_payload()),
        deliver(receiver, run_payload(), headers=headers_of("workflow_run", guid="another")),
        deliver(receiver, run_payload(), headers=headers_of("workflow_run", form=True), form=True),
    ]
    assert {receipt.outcome for receipt in again} == {Outcome.DUPLICATE}
    assert {receipt.deployment and receipt.deployment.id for receipt in again} == {
        first.deployment and first.deployment.id
    }
    assert first.deployment and first.deployment.id in again[0].reason


@pytest.mark.case("B03")
def test_a_redelivery_after_a_failure_is_a_new_attempt(receiver: Receiver) -> None:
    first = deliver(receiver, run_payload())
    receiver.store.queue.claim(1.0)
    assert first.deployment
    receiver.store.queue.finish(first.deployment.id, Status.FAILURE, "", 2.0)
    assert deliver(receiver, run_payload()).outcome is Outcome.QUEUED


@pytest.mark.case("B05")
def test_deliveries_out_of_order_end_at_the_newest(receiver: Receiver) -> None:
    outcomes = [deliver(receiver, run_payload(run_number=number)).outcome for number in (2, 1, 3)]
    assert outcomes == [Outcome.QUEUED, Outcome.STALE, Outcome.QUEUED]
    claimed = receiver.store.queue.claim(1.0)
    assert claimed and claimed[0].run == Run(3, 1)


@pytest.mark.case("B04")
def test_a_stale_run_says_which_newer_one_there_is(receiver: Receiver) -> None:
    deliver(receiver, run_payload(run_number=12))
    assert "11.1 is older than 12.1" in deliver(receiver, run_payload(run_number=11)).reason


@pytest.mark.case("A01", "A02")
@pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64, "sha1=" + "0" * 40])
def test_a_delivery_that_is_not_signed_leaves_no_trace(
    receiver: Receiver, store: SqliteStore, signature: str | None
) -> None:
    with pytest.raises(SignatureMismatch):
        deliver(receiver, run_payload(), signature=signature)
    assert count(store, "delivery") == count(store, "deployment") == 0


def test_the_body_is_not_read_before_its_signature_held(receiver: Receiver) -> None:
    with pytest.raises(SignatureMismatch):
        accept_delivery(receiver, headers={}, raw=b"\xff{", signature="sha256=" + "0" * 64)


def test_a_ping_is_kept_and_starts_nothing(receiver: Receiver, store: SqliteStore) -> None:
    receipt = deliver(receiver, fixture("ping/payload"), "ping")
    assert (receipt.outcome, receipt.reason, receipt.deployment) == (Outcome.IGNORED, "pong", None)
    assert (count(store, "delivery"), count(store, "deployment")) == (1, 0)


@pytest.mark.case("A17")
def test_a_secret_speaks_for_its_own_app_only(store: SqliteStore) -> None:
    table = config_table()
    table["apps"]["bank"] = {**table["apps"]["shop"], "repository": "acme/bank", "repository-id": 815}
    table["apps"]["bank"]["environments"] = {"production": {}}
    receiver = receiver_of(
        store, load_config(table), secrets={"shop": [b"old", SECRET], "bank": [b"the bank's"]}
    )
    foreign = run_payload(repository_id=815, head_repository={"id": 815})
    assert deliver(receiver, foreign).outcome is Outcome.IGNORED
    raw = body_of(foreign)
    assert deliver(receiver, foreign, signature=sign(raw, b"the bank's")).outcome is Outcome.QUEUED
    assert (
        deliver(receiver, run_payload(), signature=sign(body_of(run_payload()), b"old")).outcome
        is Outcome.QUEUED
    )


def test_without_a_committed_row_there_is_no_receipt(receiver: Receiver, store: SqliteStore) -> None:
    store._database._writer.execute("PRAGMA query_only=ON")
    for payload, event in [(run_payload(), "workflow_run"), (fixture("ping/payload"), "ping")]:
        with pytest.raises(StoreUnavailable):
            deliver(receiver, payload, event)


@given(body=st.binary(max_size=200), event=st.sampled_from(["ping", "workflow_run", "push"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_signed_ends_in_a_receipt_or_an_expected_failure(
    receiver: Receiver, body: bytes, event: str
) -> None:
    try:
        receipt = accept_delivery(receiver, headers=headers_of(event), raw=body, signature=sign(body))
    except DeployerError:
        return
    assert receipt.outcome is Outcome.IGNORED
