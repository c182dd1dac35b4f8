"""GitHub's record of deliveries, against a stand-in that is judged by GitHub's published API description."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deployer.adapters.github.webhook_deliveries import GitHubWebhookDeliveries
from deployer.core.errors import GitHubUnavailable
from testing.github.rest_api import GitHubServer
from testing.github.webhook_deliveries import Hook

REPOSITORY, TOKEN = "acme/shop", "canary-token-4711"
ADDRESS = "https://deploy.example.com/webhook"
RUN = {"action": "completed", "repository": {"id": 4711}}


@pytest.fixture
def stand_in() -> Iterator[GitHubServer]:
    with GitHubServer({REPOSITORY: {}}, token=TOKEN) as github:
        yield github
        assert github.breaches == []


def the_log(stand_in: GitHubServer, **changes: Any) -> GitHubWebhookDeliveries:
    fields: dict[str, Any] = {"token": TOKEN, "repositories": [REPOSITORY, REPOSITORY], "timeout": 2}
    return GitHubWebhookDeliveries(api=stand_in.url, address=ADDRESS, **{**fields, **changes})


def test_only_hooks_that_are_on_and_lead_here_are_looked_at(stand_in: GitHubServer) -> None:
    stand_in.hooks = [
        Hook(1, "https://ci.example.com/webhook", "", REPOSITORY),
        Hook(2, ADDRESS, "", REPOSITORY),
        Hook(3, ADDRESS, "", REPOSITORY, active=False),
        Hook(4, f"{ADDRESS}/", "", REPOSITORY),
        Hook(5, ADDRESS, "", "acme/other"),
    ]
    log = the_log(stand_in)
    assert log.places() == (REPOSITORY,)
    assert log.hooks(REPOSITORY) == ["repos/acme/shop/hooks/2", "repos/acme/shop/hooks/4"]


def test_all_pages_are_read_down_to_the_moment_asked_for(stand_in: GitHubServer) -> None:
    hook, now = Hook(2, ADDRESS, "", REPOSITORY), time.time()
    stand_in.hooks = [hook]
    for number in range(250):
        hook.note("workflow_run", RUN, 0, at=now - 1000 + number)
    found = the_log(stand_in).attempts("repos/acme/shop/hooks/2", now - 1000 + 29.5)
    assert [one.id for one in found] == list(range(250, 30, -1))
    assert found[0].event == "workflow_run" and found[0].status_code == 0
    assert abs(found[0].delivered_at - (now - 751)) < 0.01
    recent = the_log(stand_in).attempts("repos/acme/shop/hooks/2", now - 1000 + 239.5)
    assert len(recent) == 10
    assert (
        len([call for call in stand_in.calls if "deliveries" in call.path]) == 3 + 1
    )  # and no page too many


def test_what_was_sent_comes_back_whole(stand_in: GitHubServer) -> None:
    hook = Hook(2, ADDRESS, "", REPOSITORY)
    guid = hook.note("workflow_run", RUN, 502)
    stand_in.hooks = [hook]
    log = the_log(stand_in)
    sent = log.fetch("repos/acme/shop/hooks/2", log.attempts("repos/acme/shop/hooks/2", 0.0)[0])
    assert sent.payload == RUN and sent.headers["X-GitHub-Delivery"] == guid


def test_an_apps_hook_is_asked_for_with_the_apps_own_key(stand_in: GitHubServer) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    stand_in.app_key = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    hook = Hook(9, ADDRESS, "")
    hook.note("workflow_run", RUN, 0)
    stand_in.hooks = [hook]
    log = the_log(stand_in, token="", app=("Iv23abc", private))
    assert (log.places(), log.hooks("")) == (("",), ["app/hook"])
    (attempt,) = log.attempts("app/hook", 0.0)
    assert log.fetch("app/hook", attempt).payload == RUN
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(GitHubUnavailable, match="401"):
        the_log(stand_in, token="", app=("Iv23abc", other.decode())).attempts("app/hook", 0.0)


@pytest.mark.parametrize("fault", ["500", "502", "rate-limit", "garbage", "echo", "hang"])
def test_an_api_that_fails_is_one_clear_error_without_the_token(stand_in: GitHubServer, fault: str) -> None:
    stand_in.break_with(fault)
    with pytest.raises(GitHubUnavailable) as refused:
        the_log(stand_in, timeout=1).hooks(REPOSITORY)
    assert TOKEN not in refused.value.diagnostics() and "Webhooks: read" in refused.value.hint
    stand_in.mend()


def test_a_key_that_is_none_is_one_clear_error(stand_in: GitHubServer) -> None:
    with pytest.raises(GitHubUnavailable):
        the_log(stand_in, token="", app=("Iv23abc", "no key")).attempts("app/hook", 0.0)


def test_a_repository_without_the_right_to_its_hooks_is_said(stand_in: GitHubServer) -> None:
    with pytest.raises(GitHubUnavailable, match="repos/acme/other/hooks: GitHub answered 404"):
        the_log(stand_in).hooks("acme/other")
