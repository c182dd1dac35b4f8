"""A pull request's plan: who gets one, what it says, and the one comment that stays up to date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from deployer.ci.steps.plan import markdown
from deployer.core.requests.deploy_request import audience_of, parse_request
from testing.github.events import occasion
from testing.github.rest_api import GitHubServer
from testing.receiver.scripted_receiver import Asked, DeployApi, Reply, reply
from tests.ci.conftest import SHA, Step, Workflow
from tests.ci.steps.test_deploy import image

PLAN = {
    "plan": "shop: 2 steps\n  1 create web ::error::x ```",
    "changes": {"web": "image", "cache": "none"},
    "missing_variables": ["STRIPE_KEY"],
}


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer({"Acme/Shop": {SHA: {"a": "b"}}}, token="ghs_job") as made:
        yield made


class Server:
    """Answers plans; keeps what it was asked."""

    def __init__(self, api: DeployApi, answer: Reply) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        api.others = self._take

    def _take(self, asked: Asked) -> Reply:
        assert asked.path == "/api/v1/plans"
        self.asked.append(asked)
        return self.answer


@pytest.fixture
def plan(run: Workflow, api: DeployApi, github: GitHubServer) -> Callable[..., Step]:
    """The verb in a pull request from a branch of the repository."""
    why = occasion("pull_request", "topic", SHA)
    run.event = why.payload
    run.env |= {**api.environment(), "GITHUB_EVENT_NAME": why.event, "GITHUB_REF": why.ref}
    run.env["GITHUB_API_URL"] = github.url
    run.keep("decision", {"mode": "test", "reason": "r", "environment": ""})
    run.keep("images", [image("web", "ghcr.io/acme/shop-web") | {"id": "sha256:" + "e" * 64, "digest": ""}])
    run.done("build", "test")
    inputs = {
        "server": api.url, "environment": "production", "production_branch": "main",
        "develop_branch": "develop", "github_token": "ghs_job",
    }  # fmt: skip
    return lambda **changes: run.verb("plan", **{**inputs, **changes})


def test_it_is_in_the_summary_and_in_one_comment_that_is_written_over(
    api: DeployApi, github: GitHubServer, plan: Callable[..., Step]
) -> None:
    server = Server(api, reply(200, **PLAN))
    step = plan(env="A=canary")
    assert step.code == 0, step.raw
    (asked,) = server.asked
    request = parse_request(asked.body)
    assert (request.environment, request.variables) == ("production", {"A": "canary"})
    assert str(request.images["web"]) == "ghcr.io/acme/shop-web@sha256:" + "e" * 64
    assert request.credentials is None and api.audiences == [audience_of(api.url, asked.body)]
    (comment,) = github.comments.of("Acme/Shop", 7)
    for text in (step.summary, comment["body"]):
        assert "| web | image |" in text and "STRIPE\\_KEY" in text and "canary" not in text
    server.answer = reply(200, **{**PLAN, "changes": {"web": "none"}})
    assert plan().code == 0
    (comment,) = github.comments.of("Acme/Shop", 7)
    assert "| web | none |" in comment["body"] and "| web | image |" not in comment["body"]
    assert github.breaches == []


def test_a_comment_that_somebody_else_began_like_ours_is_left_alone(
    api: DeployApi, github: GitHubServer, plan: Callable[..., Step]
) -> None:
    Server(api, reply(200, **PLAN))
    for number in range(105):
        github.comments.add("Acme/Shop", "7", f"comment {number}", kind="User")
    forged = "<!-- deployer plan acme/shop production  -->\nall is well"
    github.comments.add("Acme/Shop", "7", forged, kind="User")
    assert plan().code == plan().code == 0
    comments = github.comments.of("Acme/Shop", 7)
    assert len(comments) == 107 and comments[105]["body"] == forged


@pytest.mark.parametrize("fault", ["rate-limit", "500", "garbage"])
def test_without_leave_to_comment_the_summary_is_enough(
    api: DeployApi, github: GitHubServer, plan: Callable[..., Step], fault: str
) -> None:
    Server(api, reply(200, **PLAN))
    github.break_with(fault, method="POST")
    step = plan()
    assert step.code == 0 and "| web | image |" in step.summary
    notices = [one for one in step.console.annotations if one.kind == "notice"]
    assert len(notices) == (0 if fault == "garbage" else 1)
    assert all("pull-requests: write" in one.text for one in notices)


@pytest.mark.parametrize(
    ("answer", "notices"),
    [
        (reply(403, error="forbidden", message="production answers no plans"), 0),
        (reply(404, error="not-found", message="no such environment"), 0),
        (reply(401, error="token-rejected", message="it has expired"), 1),
        (reply(422, error="compose-rejected", message="no port"), 1),
        (reply(503), 1),
    ],
)
def test_a_pull_request_is_never_red_for_want_of_a_plan(
    api: DeployApi, github: GitHubServer, plan: Callable[..., Step], answer: Reply, notices: int
) -> None:
    Server(api, answer)
    step = plan()
    assert (step.code, step.summary) == (0, "")
    assert [one.kind for one in step.console.annotations] == ["notice"] * notices
    assert github.calls == []


def test_a_server_that_does_not_answer_is_a_notice(plan: Callable[..., Step]) -> None:
    step = plan(server="http://127.0.0.1:9")
    assert step.code == 0
    assert [one.kind for one in step.console.annotations] == ["notice"]


@pytest.mark.parametrize("kind", ["fork", "push", "no-server", "no-token", "develop"])
def test_nobody_else_gets_one(run: Workflow, api: DeployApi, plan: Callable[..., Step], kind: str) -> None:
    server = Server(api, reply(200, **PLAN))
    if kind in ("fork", "push"):
        why = occasion(kind, "main", SHA)
        run.event = why.payload
        run.env["GITHUB_EVENT_NAME"] = why.event
    if kind == "develop":
        run.event["pull_request"]["base"]["ref"] = "develop"
    if kind == "no-token":
        del run.env["ACTIONS_ID_TOKEN_REQUEST_URL"]
    step = plan(server="") if kind == "no-server" else plan()
    assert (step.code, step.summary, step.console.annotations, server.asked) == (0, "", [], [])
    assert api.audiences == []


def test_text_from_a_branch_stays_text() -> None:
    hostile = {
        "plan": "```\n</details><img src=x>\n::error::x",
        "changes": {"<b>|x": "image"},
        "missing_variables": ["[x](https://evil.example)"],
    }
    text = markdown("production", json.loads(json.dumps(hostile)), {})
    assert "```\n</details><img" not in text and text.count("```") == 2
    assert "| \\<b\\>\\|x |" in text
    assert "[x](https" not in text
