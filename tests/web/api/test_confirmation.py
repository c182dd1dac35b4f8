"""POST …/confirmation: who may say that a release stays, and when."""

from __future__ import annotations

import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from deployer.core.auth.api_tokens import Right
from deployer.core.model import Status
from deployer.core.release.confirmation import ConfirmationVerdict
from tests.web.conftest import WebClient, bearer


def say(web_client: WebClient, made: dict[str, Any], headers: dict[str, str], **body: Any) -> TestResponse:
    return web_client.client.post(
        f"/api/v1/deployments/{made['id']}/confirmation",
        json=body or {"verdict": "confirmed"},
        headers=headers,
    )


@pytest.fixture
def waiting(web_client: WebClient) -> dict[str, Any]:
    """A deployment that serves and waits for the word."""
    made = web_client.deploy(confirm=60)
    claimed = web_client.receiver.store.queue.claim(1.0)
    assert claimed and claimed[1].confirm == 60
    web_client.receiver.store.confirmations.begin(made["id"], time.time() + 60)
    return made


def test_the_read_token_confirms_and_the_answer_is_the_record(
    web_client: WebClient, waiting: dict[str, Any]
) -> None:
    answer = say(web_client, waiting, bearer(waiting["read_token"]), verdict="failed", reason="no checkout")
    assert answer.status_code == 200
    assert (answer.get_json()["id"], answer.get_json()["status"]) == (waiting["id"], "in_progress")
    found = web_client.receiver.store.confirmations.read(waiting["id"])
    assert (found.verdict, found.reason) == (ConfirmationVerdict.FAILED, "no checkout")
    assert web_client.receiver.store.events.read(waiting["id"])[-1].text == "failed: no checkout"


def test_the_same_word_again_is_fine_and_another_is_too_late(
    web_client: WebClient, waiting: dict[str, Any]
) -> None:
    headers = bearer(waiting["read_token"])
    assert say(web_client, waiting, headers).status_code == 200
    told = len(web_client.receiver.store.events.read(waiting["id"]))
    assert say(web_client, waiting, headers).status_code == 200
    assert len(web_client.receiver.store.events.read(waiting["id"])) == told
    late = say(web_client, waiting, headers, verdict="failed")
    assert (late.status_code, late.get_json()["error"]) == (409, "not-waiting")
    web_client.receiver.store.queue.finish(waiting["id"], Status.SUCCESS, "", 9.0)
    assert say(web_client, waiting, headers).get_json()["status"] == "success"


def test_a_person_needs_the_right_to_deploy_this_app(web_client: WebClient, waiting: dict[str, Any]) -> None:
    assert say(web_client, waiting, web_client.token(Right.READ, name="bob")).status_code == 403
    stranger = web_client.token(Right.DEPLOY, name="eve", app="bank")
    assert say(web_client, waiting, stranger).status_code == 404
    assert say(web_client, waiting, {}).status_code == 401
    assert web_client.receiver.store.confirmations.read(waiting["id"]).verdict is None
    assert say(web_client, waiting, web_client.token(Right.DEPLOY)).status_code == 200


def test_what_does_not_wait_takes_no_word(web_client: WebClient) -> None:
    made = web_client.deploy()
    answer = say(web_client, made, bearer(made["read_token"]))
    assert (answer.status_code, answer.get_json()["error"]) == (409, "not-waiting")


def test_no_word_is_taken_once_the_wait_is_over(web_client: WebClient, waiting: dict[str, Any]) -> None:
    assert web_client.receiver.store.confirmations.end(waiting["id"]).verdict is ConfirmationVerdict.MISSING
    assert say(web_client, waiting, bearer(waiting["read_token"])).status_code == 409


def test_a_restart_does_not_change_when_the_wait_ends(web_client: WebClient, waiting: dict[str, Any]) -> None:
    store = web_client.receiver.store
    until = store.confirmations.read(waiting["id"]).until
    assert store.confirmations.begin(waiting["id"], until + 1000).until == until


@pytest.mark.parametrize("body", [{"verdict": "missing"}, {"verdict": "failed", "reason": 1}])
def test_what_is_no_word_is_400(web_client: WebClient, waiting: dict[str, Any], body: dict[str, Any]) -> None:
    assert say(web_client, waiting, bearer(waiting["read_token"]), **body).status_code == 400
