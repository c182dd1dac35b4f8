"""Answers to requests that end by an error."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from deployer.core.errors import DeployerError, TooManyRequests, error_of
from testing.error_classes import every_error
from tests.web.conftest import WebClient


def an_error(kind: type[DeployerError]) -> DeployerError:
    """An instance, whatever its constructor takes."""
    error = kind.__new__(kind)
    Exception.__init__(error, "it broke")
    error.hint = "mend it"
    if isinstance(error, TooManyRequests):
        error.after = 7.2
    return error


def answer_to(web_client: WebClient, error: DeployerError) -> TestResponse:
    """The receiver's answer at one more address, which ends by the error."""

    def end() -> str:
        raise error

    web_client.client.application.add_url_rule("/ends", view_func=end)
    return web_client.client.get("/ends")


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__qualname__)
def test_an_error_is_answered_with_its_status_code_message_and_hint(
    web_client: WebClient, kind: type[DeployerError]
) -> None:
    answer = answer_to(web_client, an_error(kind))
    assert answer.status_code == kind.http_status
    assert answer.get_json() == {"error": kind.code, "message": "it broke", "hint": "mend it"}
    assert answer.headers.get("Retry-After") == {503: "10", 429: "8"}.get(kind.http_status)
    assert ("WWW-Authenticate" in answer.headers) == (kind.code == "token-rejected")


@pytest.mark.parametrize(
    ("code", "status"),
    [("compose-rejected", 422), ("too-many-requests", 429), ("power-refused", 500), ("internal", 500)],
)
def test_the_workers_error_is_answered_with_the_status_of_its_code(
    web_client: WebClient, code: str, status: int
) -> None:
    answer = answer_to(web_client, error_of(code, "it broke", ""))
    assert (answer.status_code, answer.get_json()["error"]) == (status, code)
