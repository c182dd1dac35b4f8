"""POST …/confirmation: who may say that a release stays, and when."""

from __future__ import annotations

import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from deployer.core.auth.api_tokens import Right
from deployer.core.model import Status
from deployer.core.release.confirmation import Verdict
from tests.web.conftest import Receiver, bearer


def say(receiver: Receiver, made: dict[str, Any], headers: dict[str, str], **body: Any) -> TestResponse:
    return receiver.client.post(
        f"/api/v1/deployments/{made['id']}/confirmation",
        json=body or {"verdict": "confirmed"},
        headers=headers,
    )


@pytest.fixture
def waiting(receiver: Receiver) -> dict[str, Any]:
    """A deployment that serves and waits for the word."""
    made = receiver.deploy(confirm=60)
    claimed = receiver.intake.store.claim(1.0)
    assert claimed and claimed[1].confirm == 60
    receiver.intake.store.await_word(made["id"], time.time() + 60)
    return made


def test_the_read_token_confirms_and_the_answer_is_the_record(
    receiver: Receiver, waiting: dict[str, Any]
) -> None:
    answer = say(receiver, waiting, bearer(waiting["read_token"]), verdict="failed", reason="no checkout")
    assert answer.status_code == 200
    assert (answer.get_json()["id"], answer.get_json()["status"]) == (waiting["id"], "in_progress")
    found = receiver.intake.store.word(waiting["id"])
    assert (found.verdict, found.reason) == (Verdict.FAILED, "no checkout")
    assert receiver.intake.store.events(waiting["id"])[-1].text == "failed: no checkout"


def test_the_same_word_again_is_fine_and_another_is_too_late(
    receiver: Receiver, waiting: dict[str, Any]
) -> None:
    headers = bearer(waiting["read_token"])
    assert say(receiver, waiting, headers).status_code == 200
    told = len(receiver.intake.store.events(waiting["id"]))
    assert say(receiver, waiting, headers).status_code == 200
    assert len(receiver.intake.store.events(waiting["id"])) == told
    late = say(receiver, waiting, headers, verdict="failed")
    assert (late.status_code, late.get_json()["error"]) == (409, "not-waiting")
    receiver.intake.store.finish(waiting["id"], Status.SUCCESS, "", 9.0)
    assert say(receiver, waiting, headers).get_json()["status"] == "success"


def test_a_person_needs_the_right_to_deploy_this_app(receiver: Receiver, waiting: dict[str, Any]) -> None:
    assert say(receiver, waiting, receiver.token(Right.READ, name="bob")).status_code == 403
    stranger = receiver.token(Right.DEPLOY, name="eve", app="bank")
    assert say(receiver, waiting, stranger).status_code == 404
    assert say(receiver, waiting, {}).status_code == 401
    assert receiver.intake.store.word(waiting["id"]).verdict is None
    assert say(receiver, waiting, receiver.token(Right.DEPLOY)).status_code == 200


def test_what_does_not_wait_takes_no_word(receiver: Receiver) -> None:
    made = receiver.deploy()
    answer = say(receiver, made, bearer(made["read_token"]))
    assert (answer.status_code, answer.get_json()["error"]) == (409, "not-waiting")


def test_no_word_is_taken_once_the_wait_is_over(receiver: Receiver, waiting: dict[str, Any]) -> None:
    assert receiver.intake.store.stop_waiting(waiting["id"]).verdict is Verdict.MISSING
    assert say(receiver, waiting, bearer(waiting["read_token"])).status_code == 409


def test_a_restart_does_not_change_when_the_wait_ends(receiver: Receiver, waiting: dict[str, Any]) -> None:
    store = receiver.intake.store
    until = store.word(waiting["id"]).until
    assert store.await_word(waiting["id"], until + 1000).until == until


@pytest.mark.parametrize("body", [{"verdict": "missing"}, {"verdict": "failed", "reason": 1}])
def test_what_is_no_word_is_400(receiver: Receiver, waiting: dict[str, Any], body: dict[str, Any]) -> None:
    assert say(receiver, waiting, bearer(waiting["read_token"]), **body).status_code == 400
