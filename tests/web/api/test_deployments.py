"""The deploy interface: what the action and people send, and what they read."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from deployer.core.auth.api_tokens import Right
from deployer.core.images import Image
from deployer.core.model import Release, Run, Status
from deployer.core.release.proven_images import ProvenQuery, ProvenRun, Source, encode_query
from deployer.core.requests.deploy_request import audience_of
from deployer.web.api.health import HAS_ENGINE
from testing.receiver.receiver_inputs import BUNDLE, DIGEST, REVISION, URL, deploy_request, encoded
from tests.web.conftest import WebClient, bearer


def test_the_actions_request_is_answered_with_all_it_needs_to_follow(web_client: WebClient) -> None:
    raw, audience = encoded(deploy_request())
    answer = web_client.client.post(
        "/api/v1/deployments", data=raw, headers=bearer(web_client.issuer.mint(audience))
    )
    body = answer.get_json()
    assert answer.status_code == 202
    assert set(body) == {
        "id", "app", "status", "outcome", "reason", "url", "events", "environment_url", "read_token",
    }  # fmt: skip
    assert body["events"] == f"{body['url']}/events"
    read = web_client.client.get(f"/api/v1/deployments/{body['id']}", headers=bearer(body["read_token"]))
    assert read.status_code == 200
    record = read.get_json()
    assert (record["status"], record["revision"], record["run"]) == (
        "queued",
        REVISION,
        {"number": 12, "attempt": 1},
    )
    assert "events" not in record
    assert read.headers["Cache-Control"] == "no-store"


def test_the_same_run_with_a_new_token_is_200_and_can_be_followed_too(web_client: WebClient) -> None:
    first, again = web_client.deploy(), web_client.deploy()
    assert (again["outcome"], again["id"]) == ("duplicate", first["id"])
    answer = web_client.client.get(f"/api/v1/deployments/{first['id']}", headers=bearer(again["read_token"]))
    assert answer.status_code == 200


def test_events_can_be_polled_from_any_point(web_client: WebClient) -> None:
    made = web_client.deploy()
    web_client.receiver.store.events.append(made["id"], "pull", "web", 5.0)
    url, headers = f"/api/v1/deployments/{made['id']}", bearer(made["read_token"])
    all_ = web_client.client.get(f"{url}?after=0", headers=headers).get_json()["events"]
    assert [event["n"] for event in all_] == [1, 2]
    assert web_client.client.get(f"{url}?after=1", headers=headers).get_json()["events"] == [
        {"n": 2, "at": 5.0, "kind": "pull", "text": "web"}
    ]
    for wrong in ("", "-1", "x", "٣", "9" * 30):
        assert web_client.client.get(url, query_string={"after": wrong}, headers=headers).status_code == 400


@pytest.mark.case("E01")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("x.y.z"),
        bearer("dpl_unknown"),
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer é"},
    ],
)
def test_without_a_valid_token_everything_is_401(web_client: WebClient, headers: dict[str, str]) -> None:
    made = web_client.deploy()
    calls = [
        ("POST", "/api/v1/deployments"),
        ("GET", f"/api/v1/deployments/{made['id']}"),
        ("GET", f"/api/v1/deployments/{made['id']}/events"),
        ("GET", "/api/v1/deployments/0123"),
        ("POST", "/api/v1/apps/shop/production/redeploy"),
        ("POST", "/api/v1/apps/bank/production/rollback"),
    ]
    for method, path in calls:
        answer = web_client.client.open(path, method=method, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "token-rejected"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.case("E03")
def test_a_claim_that_does_not_fit_is_403_and_named(web_client: WebClient) -> None:
    raw, audience = encoded(deploy_request())
    minted = web_client.issuer.mint(audience, event_name="pull_request_target")
    answer = web_client.client.post("/api/v1/deployments", data=raw, headers=bearer(minted))
    assert (answer.status_code, answer.get_json()["error"]) == (403, "forbidden")
    assert answer.get_json()["message"].startswith("event_name: ")


def test_an_outage_of_the_issuer_is_503(web_client: WebClient) -> None:
    raw, audience = encoded(deploy_request())
    web_client.issuer.down = True
    answer = web_client.client.post(
        "/api/v1/deployments", data=raw, headers=bearer(web_client.issuer.mint(audience))
    )
    assert (answer.status_code, answer.get_json()["error"]) == (503, "issuer-unavailable")


def test_a_person_redeploys_and_rolls_back(web_client: WebClient) -> None:
    store = web_client.receiver.store
    releases = []
    for number in (1, 2):
        made = web_client.deploy(run=Run(number, 1))
        store.queue.claim(1.0)
        images = {"web": Image("ghcr.io/acme/shop-web", DIGEST)}
        draft = Release("", "shop", REVISION, images, BUNDLE, {"NUMBER": str(number)})
        releases.append(store.releases.save(made["id"], draft, 0.0).id)
        store.queue.finish(made["id"], Status.SUCCESS, "", 2.0)
    headers = web_client.token(Right.REDEPLOY, Right.ROLLBACK, Right.READ)
    base = "/api/v1/apps/shop/production"
    for verb, body, release in [
        ("redeploy", None, releases[1]),
        ("rollback", None, releases[0]),
        ("rollback", {}, releases[0]),
        ("redeploy", {"release": releases[0]}, releases[0]),
    ]:
        answer = web_client.client.post(f"{base}/{verb}", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        record = web_client.client.get(
            f"/api/v1/deployments/{answer.get_json()['id']}", headers=headers
        ).get_json()
        assert (record["kind"], record["release"], record["actor"]) == (verb, release, "anna")


@pytest.mark.case("B08", "D01", "E05")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("shop/production/redeploy", b"", 404),
        ("shop/production/redeploy", b'{"relase": "0123"}', 400),
        ("shop/production/redeploy", b'{"release": 1}', 400),
        ("shop/production/rollback", b'{"run_tasks": 1}', 400),
        ("shop/production/redeploy", b'{"release": "../x"}', 400),
        ("shop/production/redeploy", b"[]", 400),
        ("shop/staging/redeploy", b"", 404),
        ("bank/production/redeploy", b"", 403),
        ("shop/production/rollback", b"", 403),
        ("..%2Fx/production/redeploy", b"", 404),
        ("-rf/production/redeploy", b"", 403),
        ("a%00b/production/redeploy", b"", 403),
        ("x" * 300 + "/production/redeploy", b"", 403),
    ],
)
def test_what_a_person_may_not_or_cannot_ask_for(
    web_client: WebClient, path: str, body: bytes, status: int
) -> None:
    headers = web_client.token(Right.REDEPLOY)
    answer = web_client.client.post(f"/api/v1/apps/{path}", data=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.get_json()) == {"error", "message", "hint"}


def test_a_token_without_read_reads_nothing(web_client: WebClient) -> None:
    made = web_client.deploy()
    answer = web_client.client.get(
        f"/api/v1/deployments/{made['id']}", headers=web_client.token(Right.DEPLOY)
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/webhook", 405, "method-not-allowed"),
        ("DELETE", "/api/v1/deployments/x", 405, "method-not-allowed"),
        ("GET", "/static/x", 404, "not-found"),
    ],
)
def test_every_error_is_json(web_client: WebClient, method: str, path: str, status: int, code: str) -> None:
    answer = web_client.client.open(path, method=method)
    assert (answer.status_code, answer.get_json()["error"]) == (status, code)
    assert status != 405 or answer.headers["Allow"]


def test_a_bug_is_500_with_an_id_that_the_log_has_too_and_shows_nothing(
    web_client: WebClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: Any) -> None:
        raise ZeroDivisionError("canary-of-the-inside")

    monkeypatch.setattr(web_client.receiver.store, "ready", broken)
    with caplog.at_level(logging.ERROR):
        answer = web_client.client.get("/health")
    body = answer.get_json()
    assert (answer.status_code, body["error"]) == (500, "internal")
    assert "canary" not in answer.text
    id = body["message"].rpartition(" ")[2]
    [record] = [record for record in caplog.records if id in record.getMessage()]
    assert record.exc_info and record.exc_info[0] is ZeroDivisionError


@pytest.mark.case("D05", "D06")
def test_the_log_of_refusals_is_one_line_each_and_holds_no_token(
    web_client: WebClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        web_client.client.get("/api/v1/deployments/a%0Ab%1B[31m", headers=bearer("dpl_canary"))
        web_client.client.post("/api/v1/deployments", data=b"x", headers=bearer("canary.canary.canary"))
    lines = [record.getMessage() for record in caplog.records if record.name == "deployer.web"]
    assert len(lines) == 2
    for line in lines:
        assert "canary" not in line and line.isprintable()


def test_health_is_ok_and_degraded_when_the_database_does_not_answer(
    web_client: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = web_client.client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "OK")
    web_client.client.application.extensions[HAS_ENGINE] = lambda: False
    answer = web_client.client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "Degraded")
    assert "Docker does not answer" in answer.get_json()["message"]
    monkeypatch.setattr(web_client.receiver.store, "ready", lambda: False)
    answer = web_client.client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "Degraded")


@pytest.mark.case("X05")
def test_a_run_that_may_deploy_hears_once_which_images_are_proven(web_client: WebClient) -> None:
    tree, web = "1" * 64, Image("ghcr.io/acme/shop-web", DIGEST)
    web_client.receiver.store.images.note_proven(
        ProvenRun("shop", "production", "b" * 40, "c" * 64, {"web": web}, {"web": tree})
    )
    sources = {"web": Source(web.repository, tree), "api": Source("ghcr.io/acme/shop-api", tree)}
    query = ProvenQuery("acme/shop", "", "production", REVISION, Run(12, 1), "c" * 64, sources)
    raw = encode_query(query)

    def ask(headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        answer = web_client.client.post("/api/v1/tested-images", data=raw, headers=headers)
        return answer.status_code, answer.get_json()

    token = web_client.issuer.mint(audience_of(URL, raw))
    assert ask(bearer(token)) == (200, {"images": {"web": str(web)}, "tested": False})
    assert ask(bearer(token))[0] == 401
    topic = web_client.issuer.mint(audience_of(URL, raw), ref="refs/heads/topic")
    assert ask(bearer(topic))[1]["error"] == "forbidden"
    assert ask(bearer(web_client.issuer.mint(audience_of(URL, raw + b" "))))[0] == 401
    assert ask(web_client.token(Right.DEPLOY))[0] == ask({})[0] == 401
