"""The look from outside, and the word to the server, against a server that waits for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from deployer.core.requests.deploy_request import parse_request
from testing.receiver.scripted_receiver import (
    ID,
    READ_TOKEN,
    Asked,
    DeployApi,
    Reply,
    end,
    event,
    reply,
    story,
)
from tests.ci.conftest import SHA, Step, Workflow
from tests.ci.steps.test_deploy import PATH, image

OLD = "d" * 40


class Shop:
    """The application behind the public address: each look takes the next answer, the last one stays."""

    def __init__(self, api: DeployApi, *answers: Reply, confirmation: Reply | None = None) -> None:
        self.answers = list(answers)
        self.said: list[dict[str, Any]] = []
        self.bearers: list[str | None] = []
        self.confirmation = confirmation or reply(200, id=ID)
        api.others = self.answer

    def answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/confirmation"):
            self.said.append(json.loads(asked.body))
            assert asked.headers["authorization"] == f"Bearer {READ_TOKEN}"
            return self.confirmation
        self.bearers.append(asked.headers.get("authorization"))
        if asked.path == "/moved":
            return Reply(302, b"", headers=(("Location", "/shop"),))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def deploy(run: Workflow, api: DeployApi) -> Callable[..., Step]:
    """The verb after a push that went well, with a server that asks for a confirmation."""
    run.env |= api.environment()
    run.keep("decision", {"mode": "deploy", "reason": "r", "environment": "production"})
    run.keep("images", [image("web", "ghcr.io/acme/shop-web")])
    run.done("build", "test", "push")
    api.streams = [
        story(event(1, "waits", kind="confirm")),
        story(event(2, "one", kind="drain"), end("success")),
    ]
    api.polls = [reply(200, status="in_progress", previous=OLD, events=[])]
    inputs = {
        "server": api.url, "environment": "production", "timeout": "20", "registry": "ghcr.io",
        "verify_url": f"{api.url}/shop", "verify_timeout": "2",
    }  # fmt: skip
    return lambda **changes: run.verb("deploy", **{**inputs, **changes})


def page(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), "text/html")


def test_the_new_release_is_seen_and_the_server_hears_of_it_once(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    shop = Shop(api, page("", 502), page(f"version {OLD[:9]}"), page(f"version {SHA[:9]}"))
    api.streams.insert(1, story(event(1, "waits", kind="confirm"), cut=True))
    step = deploy()
    assert step.code == 0, step.raw
    assert shop.said == [{"verdict": "confirmed", "reason": f"it serves {SHA[:7]}"}]
    assert "it answers 502" in step.log and f"it still serves {OLD[:7]}" in step.log
    assert shop.bearers == [None, None, None]
    (post,) = api.of("POST", PATH)
    assert parse_request(post.body) and json.loads(post.body)["confirm"] == 32


@pytest.mark.parametrize(
    ("inputs", "answer", "verdict", "reason"),
    [
        ({}, page("hello"), "confirmed", "without naming its revision"),
        ({"verify_revision": "false"}, page(OLD), "confirmed", "it answers 200"),
        ({"verify_revision": "true"}, page("hello"), "failed", "does not name the revision"),
        ({}, page(OLD), "failed", f"after 2 s: it still serves {OLD[:7]}"),
        ({}, page("", 503), "failed", "it answers 503"),
        ({"verify_url": "http://127.0.0.1:9/"}, page(""), "failed", "it does not answer: "),
    ],
)
def test_the_verdict_is_what_was_seen(
    api: DeployApi,
    deploy: Callable[..., Step],
    inputs: dict[str, str],
    answer: Reply,
    verdict: str,
    reason: str,
) -> None:
    shop = Shop(api, answer)
    deploy(**inputs)
    (said,) = shop.said
    assert said["verdict"] == verdict and reason in said["reason"]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [((500, 500, 500, 500, 200, 500), "failed"), ((500, 500, 500, 200, 200, 200), "confirmed")],
    ids=["once", "in a row"],
)
def test_an_answer_that_names_no_release_counts_three_times_in_a_row_only(
    api: DeployApi, deploy: Callable[..., Step], answers: tuple[int, ...], verdict: str
) -> None:
    """A row that began before the time is over is seen to its end; a single good answer is none."""
    shop = Shop(api, *(page("", status) for status in answers))
    deploy()
    assert [said["verdict"] for said in shop.said] == [verdict]


def test_a_refused_release_fails_the_step_with_the_servers_word(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    Shop(api, page("", 500))
    api.streams[1] = story(end("failure", "the release was not confirmed [confirmation-failed]; ddd serves"))
    step = deploy()
    assert step.code == 1 and "confirmation-failed" in step.error
    assert run.verb("report").outputs["status"] == "failure"


def test_redirects_are_followed(api: DeployApi, deploy: Callable[..., Step]) -> None:
    shop = Shop(api, page(SHA))
    assert deploy(verify_url=f"{api.url}/moved").code == 0
    assert shop.said[0]["verdict"] == "confirmed"


@pytest.mark.parametrize("confirmation", [reply(409, error="not-waiting"), reply(404, error="not-found")])
def test_a_server_that_does_not_wait_any_more_decides_by_itself(
    api: DeployApi, deploy: Callable[..., Step], confirmation: Reply
) -> None:
    Shop(api, page(SHA), confirmation=confirmation)
    step = deploy()
    assert step.code == 0
    assert "no longer waits" in step.log or "answers 404" in step.log


def test_where_nothing_was_switched_the_look_comes_at_the_end(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    api.streams = [story(event(1, "nothing to do", kind="plan"), end("success"))]
    shop = Shop(api, page(SHA))
    assert deploy().code == 0 and len(shop.bearers) == 1 and shop.said == []
    shop = Shop(api, page("", 500))
    step = deploy()
    assert step.code == 1 and "not-verified" in step.error and "it answers 500" in step.error


def test_without_an_address_nobody_looks_and_the_server_is_not_asked_to_wait(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    shop = Shop(api, page(SHA))
    assert deploy(verify_url="").code == 0
    assert shop.said == [] and "confirm" not in json.loads(api.of("POST", PATH)[0].body)


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ({"verify_url": "shop.example.com"}, "verify-url"),
        ({"verify_url": "ftp://shop.example.com"}, "verify-url"),
        ({"verify_url": "https://user:secret@shop.example.com"}, "verify-url"),
        ({"verify_timeout": "501"}, "verify-timeout"),
        ({"verify_timeout": "0"}, "verify-timeout"),
        ({"verify_revision": "yes"}, "verify-revision"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_built(
    run: Workflow, inputs: dict[str, str], name: str
) -> None:
    given = {"server": "https://d.example", "environment": "production", "production_branch": "main",
             "develop_branch": "develop", "registry": "ghcr.io"}  # fmt: skip
    step = run.verb("decide", **{**given, **inputs})
    assert step.code == 1 and name in step.error


def test_the_story_is_folded_by_what_it_is_about(api: DeployApi, deploy: Callable[..., Step]) -> None:
    Shop(api, page(SHA))
    api.streams = [
        story(
            event(1, "deploy of abc", kind="enqueue"), event(2, "web", kind="pull"),
            event(3, "::error::forged"),
            event(4, "web\n##[error]forged", kind="gate"), event(5, "it broke", kind="failed"),
            event(6, "1 step", kind="rollback"), event(7, "web", kind="start"), end("failure", "it broke"),
        )
    ]  # fmt: skip
    step = deploy(verify_url="")
    folds = [line for line in step.raw.splitlines() if line.startswith(("::group", "::endgroup"))]
    assert folds == [
        "::group::Queue", "::endgroup::", "::group::Pull the images", "::endgroup::",
        "::group::Roll out", "::endgroup::", "::group::Roll back", "::endgroup::",
    ]  # fmt: skip
    assert [one.text for one in step.console.annotations] == [step.error]
    assert "forged" in step.log
