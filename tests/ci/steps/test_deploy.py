"""`deploy` against a real HTTP server that behaves well, badly, and not at all."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable

import pytest

from deployer.core.model import Run
from deployer.core.requests.deploy_request import audience_of, parse_request
from deployer.core.requests.signed_request import SIGNATURE, judge_stamp
from deployer.core.webhooks.delivery import verify
from testing.receiver.scripted_receiver import ID, READ_TOKEN, DeployApi, Reply, end, event, reply, story
from tests.ci.conftest import SHA, Step, Workflow, commit_all

DIGEST = "sha256:" + "d" * 64
PATH = "/api/v1/deployments"


def image(service: str, repository: str) -> dict[str, str]:
    return {
        "service": service,
        "repository": repository,
        "tag": f"sha-{SHA}",
        "id": "sha256:1",
        "digest": DIGEST,
    }


@pytest.fixture
def deploy(run: Workflow, api: DeployApi) -> Callable[..., Step]:
    """The verb after a push that went well."""
    run.env |= api.environment()
    run.keep("decision", {"mode": "deploy", "reason": "r", "environment": "production"})
    run.keep("images", [image("web", "ghcr.io/acme/shop-web")])
    run.done("build", "test", "push")
    inputs = {"server": api.url, "environment": "production", "timeout": "20", "registry": "ghcr.io"}
    return lambda **changes: run.verb("deploy", **{**inputs, **changes})


def test_v1_the_request_carries_what_the_rendering_used(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    text = "services: {web: {build: ., environment: {A: $FILE $JOB $BOTH $HOME $EMPTY $DOCKER_X $CI}}}"
    (run.workspace / "compose.yaml").write_text(text)
    commit_all(run.workspace)
    run.keep("file_variables", {"FILE": "file", "BOTH": "file", "OTHER": "file", "HANDED": "on", "GONE": "x"})
    services = {
        "web": {"environment": {"HANDED": "on", "GONE": "else", "NONE": None, "COST": "5$$"}},
        "db": {},
    }
    run.keep("model", {"services": services})
    run.env |= {
        "JOB": "job",
        "BOTH": "job",
        "UNASKED": "job",
        "COST": "5$",
        "EMPTY": "",
        "DOCKER_X": "x",
        "CI": "1",
    }
    step = deploy()
    assert step.code == 0, step.raw + step.errors
    (post,) = api.of("POST", PATH)
    assert parse_request(post.body).defaults == {
        "FILE": "file",
        "JOB": "job",
        "BOTH": "job",
        "HANDED": "on",
        "COST": "5$",
    }


def test_the_request_names_revision_run_images_and_files(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    (run.workspace / "untracked.env").write_text("X=1")
    (run.workspace / "compose.yaml").write_text(
        "services: {web: {build: ., env_file: [app.env, untracked.env]}}"
    )
    (run.workspace / ".gitignore").write_text("untracked.env")
    commit_all(run.workspace)
    step = deploy()
    assert step.code == 0, step.raw + step.errors
    (post,) = api.of("POST", PATH)
    request = parse_request(post.body)
    assert (request.repository, request.environment, request.revision) == ("Acme/Shop", "production", SHA)
    assert (request.run, request.actor, request.credentials) == (Run(12, 2), "dev", None)
    assert {name: str(image) for name, image in request.images.items()} == {
        "web": f"ghcr.io/acme/shop-web@{DIGEST}"
    }
    assert request.bundle.entry == "compose.yaml"
    assert set(request.bundle.files) == {"compose.yaml", "app.env"}


def test_the_token_is_bound_to_server_and_bytes_and_never_shown(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    step = deploy()
    (post,) = api.of("POST", PATH)
    assert api.audiences == [audience_of(api.url, post.body)]
    assert post.headers["authorization"] == "Bearer signed-token-1"
    (ask,) = api.of("GET", "/token")
    assert ask.headers["authorization"] == "bearer request-token"
    for secret in ("signed-token-1", READ_TOKEN, "request-token"):
        assert secret in step.console.masks
        assert secret not in step.log
    assert not any(READ_TOKEN in one.path for one in api.asked)


def test_the_story_is_told_with_seconds_and_ends_with_success(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    api.streams = [
        story(event(1, "image of web", kind="pull"), event(4, "web is ready"), end("success", "serves"))
    ]
    step = deploy()
    assert step.code == 0
    assert "    0.0 s  pull  image of web" in step.log
    assert "    3.0 s  step  web is ready" in step.log
    assert "success: serves" in step.log
    (stream,) = api.of("GET", "/events")
    assert stream.headers["authorization"] == f"Bearer {READ_TOKEN}"
    assert "last-event-id" not in stream.headers


@pytest.mark.parametrize(
    "changes", [{"id": ""}, {"id": "../x"}, {"events": ""}, {"read_token": ""}, {"read_token": "a\nb"}]
)
def test_an_answer_that_names_no_deployment_is_refused(
    api: DeployApi, deploy: Callable[..., Step], changes: dict[str, str]
) -> None:
    api.posts = [api.accepted(**changes)]
    step = deploy()
    assert step.code == 1
    assert "without a deployment" in step.error and api.of("GET", "/events") == []


@pytest.mark.parametrize("status", ["failure", "error"])
def test_any_other_end_fails_the_step_with_the_servers_reason(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step], status: str
) -> None:
    api.streams = [story(end(status, "web: 500 from /health"))]
    step = deploy()
    assert step.code == 1
    assert f"{status}: web: 500 from /health" in step.error
    report = run.verb("report")
    assert (report.outputs["status"], report.outputs["deployment-id"]) == (status, ID)
    assert "web: 500 from /health" in report.summary


@pytest.mark.parametrize("cut", [True, False])
def test_a_dropped_stream_is_taken_up_after_the_last_line(
    api: DeployApi, deploy: Callable[..., Step], cut: bool
) -> None:
    half = b'id: 3\nevent: step\ndata: {"n": 3, "te'
    api.streams = [
        story(event(1, "one"), event(2, "two"), half, cut=cut),
        reply(502),
        story(event(2, "two"), event(3, "three"), end("success")),
    ]
    step = deploy()
    assert step.code == 0, step.raw
    assert [one.headers.get("last-event-id") for one in api.of("GET", "/events")] == [None, "2", "2"]
    assert [step.log.count(word) for word in (" one", " two", " three")] == [1, 1, 1]


def test_a_server_without_room_for_a_stream_is_polled(api: DeployApi, deploy: Callable[..., Step]) -> None:
    first = {"n": 1, "at": 5.0, "kind": "pull", "text": "one"}
    second = {"n": 2, "at": 6.5, "kind": "step", "text": "two"}
    api.streams = [reply(503, error="too-many-streams")]
    api.polls = [
        reply(200, status="in_progress", events=[first]),
        reply(200, status="success", reason="serves", events=[first, second]),
    ]
    step = deploy()
    assert step.code == 0, step.raw
    assert [one.path for one in api.of("GET", f"/{ID}")] == [f"{PATH}/{ID}?after=0", f"{PATH}/{ID}?after=1"]
    assert step.log.count("pull  one") == step.log.count("    1.5 s  step  two") == 1


def test_the_deadline_ends_the_step_and_not_the_deployment(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    api.streams = [story(event(1, "one"))]
    started = time.monotonic()
    step = deploy(timeout="2")
    assert time.monotonic() - started < 40
    assert step.code == 1
    assert "goes on" in step.error


def test_events_are_text_whatever_they_say(api: DeployApi, deploy: Callable[..., Step]) -> None:
    lines = ["::error::forged", "x\n::set-output name=status::success", "##[set-output name=a]b"]
    api.streams = [
        story(*(event(n, line) for n, line in enumerate(lines, 1)), end("failure", "no\n::error::forged"))
    ]
    step = deploy()
    assert [one.title for one in step.console.annotations] == ["deployer deploy"]
    assert step.console.outputs == {}


def test_unavailable_then_ready_is_one_deployment_with_a_new_token_each_time(
    api: DeployApi, deploy: Callable[..., Step]
) -> None:
    api.posts = [reply(503), api.accepted()]
    step = deploy()
    assert step.code == 0, step.raw
    tries = [one.headers["authorization"] for one in api.of("POST", PATH)]
    assert tries == ["Bearer signed-token-1", "Bearer signed-token-2"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 302])
def test_a_refusal_is_shown_and_not_repeated(
    api: DeployApi, deploy: Callable[..., Step], status: int
) -> None:
    api.posts = [reply(status, error="forbidden", message="ref is not main", hint="push to main")]
    step = deploy()
    assert step.code == 1
    assert "ref is not main" in step.error
    assert "hint: push to main" in step.error
    assert len(api.of("POST", PATH)) == 1


def test_a_redirect_takes_no_token_elsewhere(api: DeployApi, deploy: Callable[..., Step]) -> None:
    with DeployApi() as other:
        api.posts = [Reply(307, b"{}", headers=(("Location", f"{other.url}{PATH}"),))]
        assert deploy().code == 1
        api.posts = [api.accepted()]
        api.streams = [Reply(302, b"", headers=(("Location", f"{other.url}/events"),))]
        assert deploy(timeout="1").code == 1
        assert other.asked == []


def test_events_elsewhere_are_not_followed(api: DeployApi, deploy: Callable[..., Step]) -> None:
    with DeployApi() as other:
        api.posts = [api.accepted(events=f"{other.url}/events")]
        step = deploy()
        assert step.code == 1
        assert "events" in step.error
        assert other.asked == []


@pytest.mark.parametrize("late", [False, True])
def test_w6_an_older_run_is_neutral_and_does_not_take_a_newer_ones_success(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step], late: bool
) -> None:
    told = "run 11.1 is older than 12.1"
    if late:
        api.streams = [story(end("inactive", told))]
    else:
        api.posts = [api.accepted(200, outcome="stale", status="success", reason=told)]
    step = deploy()
    assert step.code == 0
    (notice,) = step.console.annotations
    assert (notice.kind, told in notice.text) == ("notice", True) and "rollback --release" in notice.text
    run.done("decide", "checkout", "build", "test", "push", "deploy")
    report = run.verb("report")
    assert report.outputs["status"] == "inactive" and told in report.summary.replace("\\", "")


def test_a_duplicate_follows_the_first_request(api: DeployApi, deploy: Callable[..., Step]) -> None:
    api.posts = [api.accepted(200, outcome="duplicate", status="in_progress")]
    assert deploy().code == 0


def test_a_job_without_the_permission_learns_which_lines_to_add(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    del run.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    step = deploy()
    assert step.code == 1
    assert "id-token: write" in step.error
    assert api.asked == []


def test_a_failing_token_service_is_asked_again(api: DeployApi, deploy: Callable[..., Step]) -> None:
    api.tokens = [reply(500), reply(200, value="late-token")]
    assert deploy().code == 0
    assert api.of("POST", PATH)[0].headers["authorization"] == "Bearer late-token"


def test_a_refused_token_request_is_an_error_of_its_own(api: DeployApi, deploy: Callable[..., Step]) -> None:
    api.tokens = [reply(403)]
    step = deploy()
    assert step.code == 1
    assert "GitHub answers 403" in step.error


@pytest.mark.parametrize(
    ("registry", "password", "repository", "sent"),
    [
        ("ghcr.io", "own-password", "ghcr.io/acme/web", True),
        ("ghcr.io", "ghs_token", "ghcr.io/acme/web", True),
        ("registry.example.com", "own-password", "registry.example.com/acme/web", True),
        ("registry.example.com", "ghs_token", "registry.example.com/acme/web", False),
        ("ghcr.io.example.com", "ghs_token", "ghcr.io.example.com/acme/web", False),
        ("evilgithub.com", "ghs_token", "evilgithub.com/acme/web", False),
        ("ghcr.io", "own-password", "registry.example.com/acme/web", False),
        ("127.0.0.1:5000", "own-password", "127.0.0.1:5000/acme/web", False),
        ("ghcr.io", "", "ghcr.io/acme/web", False),
    ],
)
def test_the_registry_login_travels_only_where_it_belongs(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step],
    registry: str, password: str, repository: str, sent: bool,
) -> None:  # fmt: skip
    run.keep("images", [image("web", repository)])
    step = deploy(
        registry=registry, registry_username="dev", registry_password=password, github_token="ghs_token"
    )
    assert step.code == 0, step.raw
    request = parse_request(api.of("POST", PATH)[0].body)
    if sent:
        assert request.credentials is not None
        assert (request.credentials.host, request.credentials.password) == (registry, password)
        assert password in step.console.masks
    else:
        assert request.credentials is None


@pytest.mark.parametrize("mode", ["build", "test", "skip", ""])
def test_no_other_mode_reaches_the_server(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step], mode: str
) -> None:
    run.keep("decision", {"mode": mode})
    assert deploy().code == 1
    assert api.asked == []


def test_nothing_is_deployed_that_was_not_pushed(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    run.done("build", "test")
    assert deploy().code == 1
    assert api.asked == []


def test_a_server_that_does_not_answer_is_named(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inputs = {"environment": "production", "timeout": "20", "registry": "ghcr.io"}
    child = run.start("deploy", server=f"http://127.0.0.1:{port}", **inputs)
    assert child.stdout is not None
    line = b""
    while b"trying again" not in line:
        line = child.stdout.readline()
        assert line, "the verb ended without trying again"
    assert f"127.0.0.1:{port} does not answer".encode() in line
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 128 + signal.SIGTERM
    child.communicate()


@pytest.mark.long  # half a minute of tries
def test_w3_the_stages_that_were_tried_are_in_the_error(deploy: Callable[..., Step]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    step = deploy(server=f"http://127.0.0.1:{port}", timeout="90")
    assert step.code == 1
    assert f"tried: DNS of 127.0.0.1: 127.0.0.1; TCP to port {port}: Connection refused" in step.error
    assert "firewall" in step.error


def test_variables_go_into_the_request_and_nowhere_else(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    step = deploy(env="STRIPE_KEY=canary-1\nPEM<<END\ncanary-2\ncanary-3\nEND\n", app="shop")
    assert step.code == 0, step.raw
    (post,) = api.of("POST", PATH)
    request = parse_request(post.body)
    assert request.variables == {"STRIPE_KEY": "canary-1", "PEM": "canary-2\ncanary-3"}
    assert request.app == "shop"
    left = "".join(path.read_text() for path in run.state.rglob("*") if path.is_file())
    assert "canary" not in step.raw + step.errors + left


def test_where_no_token_can_be_had_the_secret_signs_each_try_anew(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    for name in api.environment():
        del run.env[name]
    api.posts = [reply(503), api.accepted()]
    step = deploy(secret="a webhook secret of the app")
    assert step.code == 0, step.raw
    first, second = api.of("POST", PATH)
    for post in (first, second):
        assert "authorization" not in post.headers
        signature = post.headers[SIGNATURE.lower()]
        assert verify(post.body, signature, [b"a webhook secret of the app"]) == {0}
        assert judge_stamp(post.body, api.url, time.time()).server == api.url
        assert parse_request(post.body).revision == SHA
    assert first.body != second.body
    assert "a webhook secret of the app" in step.console.masks


def test_a_token_is_preferred_to_the_secret(api: DeployApi, deploy: Callable[..., Step]) -> None:
    assert deploy(secret="a webhook secret of the app").code == 0
    (post,) = api.of("POST", PATH)
    assert post.headers["authorization"] == "Bearer signed-token-1"
    assert SIGNATURE.lower() not in post.headers


def test_without_either_the_lines_to_add_are_shown(
    run: Workflow, api: DeployApi, deploy: Callable[..., Step]
) -> None:
    del run.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    step = deploy()
    assert step.code == 1 and api.of("POST", PATH) == []
    assert "permissions:\n      contents: read\n      packages: write\n      id-token: write" in step.error
    assert "input secret" in step.error
