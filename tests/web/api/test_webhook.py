"""POST /webhook, as GitHub sees it."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.web.app import MAX_BODY
from testing.receiver.receiver_inputs import body_of, fixture, headers_of, run_payload, sign
from tests.web.conftest import WebClient


def post(
    web_client: WebClient, raw: bytes, event: str = "workflow_run", **headers: str
) -> tuple[int, dict[str, str]]:
    sent = {**headers_of(event), "X-Hub-Signature-256": sign(raw), **headers}
    answer = web_client.client.post(
        "/webhook", data=raw, headers={name.replace("_", "-"): sent[name] for name in sent}
    )
    return answer.status_code, answer.get_json()


@pytest.mark.case("B01", "C01")
@pytest.mark.parametrize("form", [False, True])
def test_a_run_is_202_and_again_200(web_client: WebClient, form: bool) -> None:
    raw = body_of(run_payload(), form=form)
    kind = headers_of("workflow_run", form=form)["Content-Type"]
    status, body = post(web_client, raw, **{"Content-Type": kind})
    assert (status, body["outcome"], body["status"]) == (202, "queued", "queued")
    assert body["url"] == f"https://deploy.example.com/api/v1/deployments/{body['id']}"
    assert "read_token" not in body
    status, again = post(web_client, raw, **{"Content-Type": kind})
    assert (status, again["outcome"], again["id"]) == (200, "duplicate", body["id"])
    status, stale = post(web_client, body_of(run_payload(run_number=11)))
    assert (status, stale["outcome"]) == (200, "stale")


def test_what_starts_nothing_is_200_with_its_reason_so_that_no_hook_turns_red(web_client: WebClient) -> None:
    assert post(web_client, body_of(fixture("ping/payload")), "ping") == (
        200,
        {"outcome": "ignored", "reason": "pong"},
    )
    status, body = post(web_client, body_of(run_payload(head_branch="develop")))
    assert (status, body["outcome"]) == (200, "ignored")
    assert "develop" in body["reason"]


@pytest.mark.case("A01", "A02", "A07", "B09", "C02", "C03")
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X-Hub-Signature-256": ""}, 401, "signature-mismatch"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401, "signature-mismatch"),
        ({"X-Hub-Signature-256": "sha256=" + "é" * 64}, 401, "signature-mismatch"),
        ({"X-GitHub-Delivery": "é"}, 400, "payload-rejected"),
        ({"X-GitHub-Event": "push"}, 200, ""),
        ({"Content-Type": "text/plain"}, 415, "content-type-rejected"),
        ({"Content-Type": "application/json; charset=utf-16"}, 415, "content-type-rejected"),
        ({"Content-Encoding": "gzip"}, 415, "content-type-rejected"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400, "payload-rejected"),
    ],
)
def test_refusals_have_their_status_and_code(
    web_client: WebClient, headers: dict[str, str], status: int, code: str
) -> None:
    got, body = post(web_client, body_of(run_payload()), **headers)
    assert (got, body.get("error", "")) == (status, code)


@pytest.mark.case("A03")
def test_only_the_old_signature_is_no_signature(web_client: WebClient) -> None:
    raw = body_of(run_payload())
    headers = {**headers_of("workflow_run"), "X-Hub-Signature": "sha1=" + "0" * 40}
    answer = web_client.client.post("/webhook", data=raw, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "signature-mismatch")


@pytest.mark.case("C05", "C07", "C08", "C09", "C12", "C14")
@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{", b'{"a":NaN}', b'{"a":1,"a":2}', b"[" * 100_000, b'{"a":"\\ud800"}']
)
def test_signed_nonsense_is_400(web_client: WebClient, raw: bytes) -> None:
    status, body = post(web_client, raw)
    assert (status, body["error"]) == (400, "payload-rejected")


@pytest.mark.case("C03")
def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(web_client: WebClient) -> None:
    assert post(web_client, b" " * MAX_BODY)[0] == 400
    status, body = post(web_client, b" " * (MAX_BODY + 1))
    assert (status, body["error"]) == (413, "request-entity-too-large")


def test_a_database_that_takes_no_write_is_503_so_that_the_delivery_is_shown_as_failed(
    web_client: WebClient,
) -> None:
    web_client.receiver.store._database._writer.execute("PRAGMA query_only=ON")  # type: ignore[attr-defined]
    raw = body_of(run_payload())
    sent = {**headers_of("workflow_run"), "X-Hub-Signature-256": sign(raw)}
    answer = web_client.client.post("/webhook", data=raw, headers=sent)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "store-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@given(
    raw=st.binary(max_size=200),
    signed=st.booleans(),
    event=st.text(st.characters(codec="latin-1"), max_size=20),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_body_and_no_header_makes_a_500(
    web_client: WebClient, raw: bytes, signed: bool, event: str
) -> None:
    headers = {
        **headers_of(event.replace("\r", "").replace("\n", "")),
        "X-Hub-Signature-256": sign(raw) if signed else event[:5],
    }
    headers = {name: value.replace("\r", "").replace("\n", "") for name, value in headers.items()}
    answer = web_client.client.post("/webhook", data=raw, headers=headers)
    assert answer.status_code in ((200, 400) if signed else (401, 429))


@pytest.mark.case("A09")
def test_over_a_real_socket_signature_headers_that_come_twice_are_refused(
    web_client: WebClient, served: str
) -> None:
    raw = body_of(run_payload())
    lines = [
        "POST /webhook HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Length: {len(raw)}",
        *[f"{name}: {value}" for name, value in headers_of("workflow_run").items()],
    ]
    good, bad = sign(raw), "sha256=" + "0" * 64
    for signatures, status in [
        ((good,), b" 202 "),
        ((good, bad), b" 401 "),
        ((bad, good), b" 401 "),
        ((good, good), b" 401 "),
    ]:
        head = "\r\n".join([*lines, *[f"X-Hub-Signature-256: {value}" for value in signatures], "", ""])
        address = urlsplit(served)
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(head.encode() + raw)
            assert status in connection.recv(4096).split(b"\r\n")[0]


def test_who_was_refused_and_from_where_stands_in_the_audit_log(web_client: WebClient) -> None:
    for path in ("/webhook", "/api/v1/apps/shop/production/redeploy"):
        web_client.client.post(path, data=b"{}", environ_base={"REMOTE_ADDR": "203.0.113.9"})
    web_client.deploy()
    told = [json.loads(entry.text) for entry in web_client.receiver.store.audit.entries()]
    assert [(entry["action"], entry["origin"], entry["verdict"]) for entry in told] == [
        ("refuse", "203.0.113.9", "signature-mismatch"),
        ("refuse", "203.0.113.9", "token-rejected"),
        ("accept", "127.0.0.1", "queued"),
    ]
