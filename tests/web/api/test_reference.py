"""docs/reference/api.md is complete and true: addresses, failures, words, and the sample request."""

from __future__ import annotations

import html
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from deployer.core.auth.api_tokens import Right
from deployer.core.compose.deploy_hooks import HookMoment
from deployer.core.model import Deployment, EventKind, Kind, Status
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import parse_request
from testing.error_classes import every_error
from tests.web.conftest import WebClient

TEXT = (Path(__file__).parents[3] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


def samples() -> list[str]:
    return re.findall(r"```json\n(.*?)```", TEXT, re.S)


def test_every_address_has_a_section_and_a_row_and_no_other_has(web_client: WebClient) -> None:
    served = {
        f"{method} {rule.rule}"
        for rule in web_client.client.application.url_map.iter_rules()
        for method in rule.methods or ()
        if method in ("GET", "POST", "PUT", "DELETE")
    }
    assert {html.unescape(title) for title in re.findall(r"^## ((?:GET|POST) .*)$", TEXT, re.M)} == served
    assert set(re.findall(r"^\| \[`((?:GET|POST) [^`]*)`\]", TEXT, re.M)) == served


def test_every_code_stands_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", TEXT, re.M))
    statuses = {one.code: one.http_status for one in every_error()}
    documented = {code: status for code, status in statuses.items() if status != 500}
    assert {code: int(status) for code, status in rows.items() if code in statuses} == documented


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PUT", "/webhook", b"", "method-not-allowed"),
        ("POST", "/webhook", b"x" * (5 * 1024 * 1024 + 1), "request-entity-too-large"),
        ("GET", "/nothing", b"", "not-found"),
    ],
)
def test_the_frameworks_own_failures_have_the_codes_that_are_documented(
    web_client: WebClient, method: str, path: str, body: bytes, code: str
) -> None:
    answer = web_client.client.open(path, method=method, data=body)
    assert answer.get_json()["error"] == code
    assert f"| `{code}` | {answer.status_code} |" in TEXT


@pytest.mark.parametrize("word", [*Status, *Outcome, *Kind, *Right, *EventKind, *HookMoment])
def test_every_word_is_there(word: str) -> None:
    assert f"`{word}`" in TEXT


def test_the_sample_request_is_one() -> None:
    sample = samples()[0].replace("…64 hex digits…", "ab" * 32)
    assert parse_request(sample.encode()).app == "shop"


def test_the_sample_record_has_the_fields_of_a_record() -> None:
    assert list(json.loads(samples()[1])) == [*(field.name for field in fields(Deployment)), "url"]


def test_the_sample_receipt_has_the_fields_of_a_receipt(web_client: WebClient) -> None:
    assert set(json.loads(samples()[2])) == set(web_client.deploy())
