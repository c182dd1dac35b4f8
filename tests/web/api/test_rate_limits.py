"""Who asks too often waits, and nobody else does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deployer.core.auth.api_tokens import Right
from deployer.core.http.rate_limit import PLACES, RateLimiter
from deployer.ingress.receiver import Receiver
from deployer.web.api.rate_limits import FAILURES, STRANGERS, the_limits
from deployer.web.app import create_app
from testing.receiver.receiver_inputs import (
    body_of,
    config_of,
    headers_of,
    open_store,
    receiver_of,
    run_payload,
    sign,
)
from tests.web.conftest import bearer

RAW = body_of(run_payload())
REDEPLOY = "/api/v1/apps/shop/production/redeploy"


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Endpoint:
    """A receiver behind a proxy on this machine."""

    client: FlaskClient
    clock: Clock
    receiver: Receiver

    def guess(self, address: str = "", peer: str = "127.0.0.1", path: str = REDEPLOY) -> TestResponse:
        return self._post(path, bearer("dpl_wrong"), address, peer)

    def token(self, address: str = "", peer: str = "127.0.0.1") -> TestResponse:
        """A person's call that is in order; there is nothing to redeploy yet."""
        return self._post(REDEPLOY, self.good, address, peer)

    def deliver(self, signature: str, address: str = "", peer: str = "127.0.0.1") -> TestResponse:
        headers = {**headers_of("workflow_run"), "X-Hub-Signature-256": signature}
        return self._post("/webhook", headers, address, peer, RAW)

    @property
    def failures(self) -> RateLimiter:
        with self.client.application.app_context():
            return the_limits().failures

    @property
    def good(self) -> dict[str, str]:
        if not self.receiver.store.tokens.all():
            rights = frozenset({Right.REDEPLOY})
            self._secret = self.receiver.store.tokens.create(
                name="anna", app="shop", can=rights, expires_at=None, now=1.0
            )
        return bearer(self._secret)

    def _post(
        self, path: str, headers: Mapping[str, str], address: str, peer: str, raw: bytes = b""
    ) -> TestResponse:
        said = {"X-Forwarded-For": address} if address else {}
        return self.client.post(
            path, data=raw, headers={**headers, **said}, environ_overrides={"REMOTE_ADDR": peer}
        )


def endpoint_of(folder: Path, **settings: Any) -> Iterator[Endpoint]:
    store, clock = open_store(folder), Clock()
    receiver = receiver_of(store, replace(config_of(), **settings), clock=clock)
    yield Endpoint(create_app(receiver).test_client(), clock, receiver)
    store.close()


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    yield from endpoint_of(tmp_path)


@pytest.fixture
def browsed(tmp_path: Path) -> Iterator[Endpoint]:
    yield from endpoint_of(tmp_path, cors_origins=("https://status.example",))


@pytest.mark.case("E04")
def test_ten_wrong_tokens_close_the_door_for_a_minute_and_for_that_address_only(endpoint: Endpoint) -> None:
    assert [endpoint.guess("203.0.113.9").status_code for _ in range(FAILURES)] == [401] * FAILURES
    refused = endpoint.guess("203.0.113.9")
    assert (refused.status_code, refused.get_json()["error"]) == (429, "too-many-requests")
    assert refused.headers["Retry-After"] == "60"
    assert endpoint.token("203.0.113.9").status_code == 429
    assert endpoint.token("203.0.113.10").status_code == 404
    endpoint.clock.sleep(59.5)
    assert endpoint.guess("203.0.113.9").headers["Retry-After"] == "1"
    endpoint.clock.sleep(0.5)
    assert endpoint.token("203.0.113.9").status_code == 404


@pytest.mark.case("E04")
def test_an_ipv6_neighbourhood_is_one_address(endpoint: Endpoint) -> None:
    for number in range(FAILURES):
        assert endpoint.guess(f"2001:db8:0:1::{number:x}").status_code == 401
    assert endpoint.guess("2001:db8:0:1:ffff::1").status_code == 429
    assert endpoint.guess("2001:db8:0:2::1").status_code == 401


@pytest.mark.case("E04")
def test_who_is_no_proxy_cannot_pretend_to_be_others(endpoint: Endpoint) -> None:
    answers = [endpoint.guess(f"198.51.100.{n}", peer="203.0.113.9").status_code for n in range(FAILURES + 1)]
    assert answers == [401] * FAILURES + [429]
    assert endpoint.token("203.0.113.9").status_code == 429
    assert endpoint.token("198.51.100.1").status_code == 404


@pytest.mark.case("E04")
def test_with_as_many_attackers_as_are_counted_the_manual_endpoint_takes_nobody_new(
    endpoint: Endpoint,
) -> None:
    for number in range(PLACES):
        endpoint.failures.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", endpoint.clock.at)
    assert endpoint.token("203.0.113.9").status_code == 429
    assert endpoint.deliver(sign(RAW), "203.0.113.9").status_code == 202
    endpoint.clock.sleep(60.0)
    assert endpoint.token("203.0.113.9").status_code == 404


def test_behind_a_proxy_that_names_nobody_a_good_signature_still_counts(endpoint: Endpoint) -> None:
    bad = "sha256=" + "0" * 64
    answers = [endpoint.deliver(bad).status_code for _ in range(FAILURES + 5)]
    assert answers == [401] * FAILURES + [429] * 5
    assert endpoint.deliver(sign(RAW)).status_code == 202
    assert endpoint.token().status_code == 429, "people's own verbs are closed to an address that failed"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/nothing"), ("OPTIONS", "/webhook")]
)
def test_every_public_address_has_a_limit(endpoint: Endpoint, method: str, path: str) -> None:
    def ask(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return endpoint.client.open(path, method=method, headers=headers).status_code

    first = ask("203.0.113.9")
    assert {ask("203.0.113.9") for _ in range(STRANGERS - 1)} == {first}
    assert ask("203.0.113.9") == 429
    assert ask("203.0.113.10") == first


def test_github_may_send_more_than_a_stranger(endpoint: Endpoint) -> None:
    for _ in range(STRANGERS + 5):
        assert endpoint.deliver(sign(RAW), "192.30.252.1").status_code in (200, 202)


def preflight(endpoint: Endpoint, path: str, origin: str) -> TestResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return endpoint.client.open(path, method="OPTIONS", headers=headers)


def test_no_page_of_a_browser_reads_anything_by_default(endpoint: Endpoint) -> None:
    for path in ("/health", REDEPLOY, "/webhook"):
        answer = preflight(endpoint, path, "https://status.example")
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    answer = endpoint.client.get("/health", headers={"Origin": "https://status.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_named_origin_may_ask_and_read_also_refusals(browsed: Endpoint) -> None:
    answer = preflight(browsed, REDEPLOY, "https://status.example")
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (
        204,
        "https://status.example",
    )
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, Last-Event-ID"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    refused = browsed.client.post(REDEPLOY, headers={"Origin": "https://status.example"})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://status.example"
    assert refused.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        (REDEPLOY, "https://status.example.evil"),
        (REDEPLOY, "https://evil.status.example"),
        (REDEPLOY, "http://status.example"),
        (REDEPLOY, "null"),
        (REDEPLOY, ""),
        ("/webhook", "https://status.example"),
    ],
)
def test_any_other_origin_and_the_webhook_stay_closed(browsed: Endpoint, path: str, origin: str) -> None:
    for answer in (preflight(browsed, path, origin), browsed.client.post(path, headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert (answer.headers.get("Vary") == "Origin") == (path == REDEPLOY)
