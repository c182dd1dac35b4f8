"""What arrives on a real socket at the server as it runs: odd headers, odd lengths, and too much of it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from deployer.web.api.rate_limits import FAILURES
from deployer.web.app import MAX_BODY, create_app
from deployer.web.http_server.server import _open
from testing.receiver.receiver_inputs import body_of, fixture, headers_of, run_payload, sign
from testing.receiver.receiver_process import Server
from tests.web.conftest import WebClient

RAW = body_of(run_payload())
BAD = "sha256=" + "0" * 64


@pytest.fixture
def port(web_client: WebClient) -> Iterator[int]:
    """The port of the server with all its settings."""
    server = _open(create_app(web_client.receiver), "127.0.0.1:0")
    server.adj.asyncore_loop_timeout = 0.05
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    thread.join(5)


def status_of(port: int, head: list[str], body: bytes = RAW, *, encoding: str = "latin-1") -> int:
    """The status of the first answer to these header lines; 0 where the server closes without one."""
    lines = ["POST /webhook HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers_of("workflow_run").items()]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, *head, "", ""]).encode(encoding) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096).split(b" ", 2)
        return int(answer[1]) if len(answer) > 1 else 0


def signed(*more: str, body: bytes = RAW) -> list[str]:
    return [f"X-Hub-Signature-256: {sign(body)}", *more]


def sized(body: bytes = RAW) -> str:
    return f"Content-Length: {len(body)}"


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.case("A07", "A08")
@pytest.mark.parametrize(
    "sign_", ["é" * 64, "sha256=" + "é" * 64, sign(RAW)[:-1] + "\u0663", "sha256=" + "\uff10" * 64]
)
def test_a_signature_that_is_not_ascii_is_401_and_no_crash(port: int, sign_: str) -> None:
    assert status_of(port, [f"X-Hub-Signature-256: {sign_}", sized()], encoding="utf-8") == 401
    assert status_of(port, signed(sized())) == 202


@pytest.mark.case("A10")
@pytest.mark.parametrize("name", ["X_Hub_Signature_256", "X-Hub_Signature-256", "HTTP_X_HUB_SIGNATURE_256"])
def test_a_header_with_underscores_is_not_the_signature(port: int, name: str) -> None:
    assert status_of(port, [f"{name}: {sign(RAW)}", sized()]) == 401
    assert status_of(port, [f"{name}: {BAD}", *signed(sized())]) == 202


@pytest.mark.case("C02")
def test_a_content_type_that_comes_twice_is_415(port: int) -> None:
    assert status_of(port, signed("Content-Type: text/plain", sized())) == 415


@pytest.mark.case("C03")
@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ([sized()], RAW, 202),
        (["Transfer-Encoding: chunked"], chunked(RAW), 202),
        ([f"Content-Length: {30_000_000}"], b"", 413),
        ([f"Content-Length: {MAX_BODY + 1}"], b"", 413),
        (["Content-Length: -1"], RAW, 400),
        ([f"Content-Length: {'9' * 5000}"], RAW, 400),
        (["Content-Length: +2"], RAW, 400),
        (["Content-Length: 0x10"], RAW, 400),
        (["Content-Length: 1_0"], RAW, 400),
        ([f"Content-Length: {len(RAW) - 1}"], RAW, 401),
        ([f"Content-Length: {len(RAW) + 1}"], RAW, 0),
        ([sized(), f"Content-Length: {len(RAW) + 1}"], RAW, 400),
        ([sized(), sized()], RAW, 400),
        ([sized(), "Transfer-Encoding: chunked"], chunked(RAW), 400),
        (["Transfer-Encoding: chunked", sized()], chunked(RAW), 400),
        (["Transfer-Encoding: xchunked"], chunked(RAW), 501),
        (["Transfer-Encoding: chunked, identity"], chunked(RAW), 501),
        (["Transfer-Encoding: chunked"], b"zz\r\n" + RAW, 400),
        ([sized(), "Content-Encoding: gzip"], RAW, 415),
        ([sized(), "X-Long: " + "a" * 20_000], RAW, 431),
    ],
)
def test_a_body_whose_length_is_not_plain_is_refused(
    web_client: WebClient, port: int, head: list[str], body: bytes, status: int
) -> None:
    assert status_of(port, signed(*head), body) == status
    stored = web_client.receiver.store.deployments.history("shop", "production")
    assert bool(stored) == (status == 202)


@pytest.mark.case("C03")
def test_chunks_over_the_limit_are_413_and_cut_off(port: int) -> None:
    body = chunked(b" " * (MAX_BODY + 70_000))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.case("C04")
def test_unsigned_bodies_of_any_size_leave_the_memory_as_it_was() -> None:
    with Server(1) as server:

        def post(body: bytes) -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
                connection.request("POST", "/webhook", body, headers_of("workflow_run"))
                assert connection.getresponse().status in (401, 429)

        full = b'{"a":[' + b"{}," * ((MAX_BODY - 10) // 3) + b"1]}"
        post(full)
        before = server.rss_mb()
        for _ in range(200):
            post(full)
        assert server.rss_mb() - before <= 20


@pytest.mark.case("A16", "A19", "A24")
@pytest.mark.parametrize(
    ("event", "payload", "status"),
    [
        ("ping", fixture("ping/payload"), 200),
        ("ping", {**fixture("ping/payload"), "repository": None, "organization": {"id": 1}}, 200),
        ("push", fixture("push/payload"), 200),
        ("push", {**fixture("push/payload"), "deleted": True, "after": "0" * 40}, 200),
        ("push", {"ref": "refs/heads/main", "organization": {"id": 1}}, 200),
        ("organization", {"action": "member_added", "organization": {"id": 1}}, 200),
        ("workflow_run", {**run_payload(), "repository": None}, 400),
    ],
)
def test_events_that_start_nothing_are_answered_and_unsigned_ones_are_401(
    web_client: WebClient, event: str, payload: dict[str, object], status: int
) -> None:
    raw = body_of(payload)
    headers = headers_of(event)
    assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == 401
    headers["X-Hub-Signature-256"] = sign(raw)
    answer = web_client.client.post("/webhook", data=raw, headers=headers)
    assert answer.status_code == status, answer.text
    assert not web_client.receiver.store.deployments.history("shop", "production")


@pytest.mark.case("C13")
def test_a_body_of_empty_objects_is_not_unfolded_before_its_signature_held(web_client: WebClient) -> None:
    raw = b'{"a":[' + b"{}," * 500_000 + b"1]}"
    headers = headers_of("workflow_run")
    assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == 401
    headers["X-Hub-Signature-256"] = sign(raw)
    assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == 400


@pytest.mark.case("A14", "C14")
@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"\xef\xbb\xbf" + RAW, 400), (RAW.replace(b", ", b",\r\n") + b" \r\n", 202), (b"", 400)],
    ids=["byte order mark", "line ends and spaces", "empty"],
)
def test_the_signature_counts_for_the_very_bytes(web_client: WebClient, raw: bytes, status: int) -> None:
    headers = {**headers_of("workflow_run"), "X-Hub-Signature-256": sign(raw)}
    assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == status
    headers["X-Hub-Signature-256"] = sign(raw.strip() or b"{}")
    if raw != raw.strip() or not raw:
        assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == 401


@pytest.mark.case("D08")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/<script>alert(1)</script>", b""),
        ("GET", "/api/v1/deployments/<script>", b""),
        ("POST", "/webhook?<script>", b"<script>alert(1)</script>"),
        ("POST", "/api/v1/deployments", b"<script>alert(1)</script>"),
        ("POST", "/api/v1/apps/<script>/production/redeploy", b"<script>"),
    ],
)
def test_markup_comes_back_as_json_or_not_at_all(
    web_client: WebClient, method: str, path: str, body: bytes
) -> None:
    headers = {"Content-Type": "text/html", "X-Hub-Signature-256": sign(body)}
    answer = web_client.client.open(path, method=method, data=body, headers=headers)
    assert answer.status_code in (400, 401, 404)
    assert answer.mimetype == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>" not in json.dumps(answer.get_json())


@pytest.mark.case("D02")
@pytest.mark.parametrize("branch", ["a;id", "$(id)", "`id`", "-x", "--upload-pack=touch /tmp/x", "a|b&c"])
def test_a_branch_goes_nowhere_but_into_a_comparison(web_client: WebClient, branch: str) -> None:
    raw = body_of(run_payload(head_branch=branch, actor={"login": branch}))
    headers = {**headers_of("workflow_run"), "X-Hub-Signature-256": sign(raw)}
    assert web_client.client.post("/webhook", data=raw, headers=headers).get_json()["outcome"] == "ignored"
    environment = web_client.receiver.config.app("shop").environment("production")
    object.__setattr__(environment, "branch", branch)
    assert web_client.client.post("/webhook", data=raw, headers=headers).status_code == 202
    claimed = web_client.receiver.store.queue.claim(1.0)
    assert claimed
    told = [field for field, value in vars(claimed[1]).items() if branch in str(value)]
    assert told == ["actor"]  # who started the run: shown to people, never part of a command


@pytest.mark.case("A01", "E04")
def test_bad_signatures_are_429_after_ten_and_do_not_touch_others(port: int) -> None:
    def ask(source: str, signature: str) -> tuple[int, str]:
        with closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(source, 0))
        ) as connection:
            connection.request(
                "POST", "/webhook", RAW, {**headers_of("workflow_run"), "X-Hub-Signature-256": signature}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Retry-After", "")

    statuses = [ask("127.0.0.2", BAD)[0] for _ in range(100)]
    assert statuses == [401] * FAILURES + [429] * (100 - FAILURES)
    status, after = ask("127.0.0.2", sign(RAW))
    assert status == 429 and 0 < int(after) <= 60
    assert ask("127.0.0.3", sign(RAW))[0] == 202
