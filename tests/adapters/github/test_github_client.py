"""The GitHub adapter against a stand-in that is judged by GitHub's published API description."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.github.github_client import GitHubClient
from deployer.adapters.github.null_github import NoGitHub
from deployer.core.errors import GitHubUnavailable, ReleaseIncomplete, StoreUnavailable
from deployer.core.model import Deployment, Kind, Run, Status, Trigger
from deployer.core.requests.deploy_request import MAX_FILE_BYTES
from testing.docker.docker_cli import wait_for
from testing.github.rest_api import Call, GitHubServer

REPOSITORY = "acme/shop"
REVISION = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
TOKEN = "canary-token-4711"
LOG_URL = "https://deploy.example/api/v1/deployments/d1"
COMPOSE = "services:\n  web:\n    image: nginx\n    env_file: web.env\n"


class Memory:
    """The two methods that the store gives to the adapter."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def forge_id(self, deployment_id: str) -> int | None:
        return self.known.get(deployment_id)

    def remember_forge_id(self, deployment_id: str, forge_id: int) -> None:
        self.known[deployment_id] = forge_id


def a_deployment(**changes: Any) -> Deployment:
    deployment = Deployment(
        id="d1",
        app="shop",
        environment="production",
        kind=Kind.DEPLOY,
        trigger=Trigger.ACTION,
        actor="octocat",
        revision=REVISION,
        status=Status.QUEUED,
        reason="",
        created_at=1_000.0,
        started_at=None,
        ended_at=None,
        attempts=0,
        release="",
        run=Run(1, 1),
    )
    return dataclasses.replace(deployment, **changes)


@pytest.fixture
def stand_in() -> Iterator[GitHubServer]:
    with GitHubServer(
        {REPOSITORY: {REVISION: {"compose.yaml": COMPOSE, "web.env": "A=1\n"}}}, token=TOKEN
    ) as github:
        yield github


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def adapter(stand_in: GitHubServer, memory: Memory) -> Iterator[GitHubClient]:
    made = GitHubClient(
        api=stand_in.url,
        token=TOKEN,
        ledger=memory,
        environment_url=lambda _: "https://shop.example",
        timeout=2,
    )
    yield made
    stand_in.mend()
    made.close(5)


def posts(stand_in: GitHubServer, end: str) -> list[Call]:
    return [call for call in stand_in.calls if call.method == "POST" and call.path.endswith(end)]


def report(adapter: GitHubClient, *statuses: Status, text: str = "deploy of 1a2b3c4 is running") -> None:
    for status in statuses:
        adapter.report(REPOSITORY, a_deployment(status=status), LOG_URL, text)


def test_a_deployment_is_created_once_and_its_statuses_follow_in_order(
    adapter: GitHubClient, stand_in: GitHubServer, memory: Memory
) -> None:
    report(adapter, Status.QUEUED, Status.IN_PROGRESS, Status.SUCCESS)
    assert adapter.close(10)
    assert [item["state"] for item in stand_in.statuses(1)] == ["queued", "in_progress", "success"]
    (created,) = posts(stand_in, "/deployments")
    assert created.body == {
        "ref": REVISION,
        "task": "deploy",
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"schema": "deployer/1", "deployment": "d1"},
        "environment": "production",
        "description": "deploy of 1a2b3c4 is running",
    }
    assert memory.known == {"d1": 1}
    assert stand_in.breaches == []


def test_a_status_names_the_log_the_environment_and_leaves_others_alone(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    report(adapter, Status.SUCCESS)
    adapter.close(10)
    assert posts(stand_in, "/statuses")[0].body == {
        "state": "success",
        "log_url": LOG_URL,
        "description": "deploy of 1a2b3c4 is running",
        "environment": "production",
        "environment_url": "https://shop.example",
        "auto_inactive": False,
    }


def test_every_call_carries_the_pinned_api_version_and_the_token(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    report(adapter, Status.QUEUED)
    adapter.close(10)
    adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert {call.headers["x-github-api-version"] for call in stand_in.calls} == {"2022-11-28"}
    assert {call.headers["authorization"] for call in stand_in.calls} == {f"token {TOKEN}"}


def test_without_an_address_no_environment_url_is_sent(stand_in: GitHubServer, memory: Memory) -> None:
    adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory)
    report(adapter, Status.SUCCESS)
    adapter.close(10)
    assert "environment_url" not in posts(stand_in, "/statuses")[0].body


@pytest.mark.parametrize("status", list(Status))
def test_each_status_of_ours_is_a_word_of_githubs(
    adapter: GitHubClient, stand_in: GitHubServer, status: Status
) -> None:
    report(adapter, status)
    adapter.close(10)
    assert [item["state"] for item in stand_in.statuses(1)] == [status.value]
    assert stand_in.breaches == []


def test_a_long_text_is_cut_to_what_github_takes(adapter: GitHubClient, stand_in: GitHubServer) -> None:
    report(adapter, Status.FAILURE, text="é" * 500)
    adapter.close(10)
    assert [len(item["description"]) for item in stand_in.statuses(1)] == [140]
    assert stand_in.breaches == []


def test_a_remembered_deployment_is_not_created_again_by_the_next_process(
    adapter: GitHubClient, stand_in: GitHubServer, memory: Memory
) -> None:
    report(adapter, Status.QUEUED)
    adapter.close(10)
    later = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory)
    report(later, Status.SUCCESS)
    later.close(10)
    assert len(posts(stand_in, "/deployments")) == 1
    assert [item["state"] for item in stand_in.statuses(1)] == ["queued", "success"]


def test_a_deployment_that_was_created_but_not_remembered_is_found_again(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    report(adapter, Status.QUEUED)
    adapter.close(10)
    forgetful = GitHubClient(api=stand_in.url, token=TOKEN, ledger=Memory())
    report(forgetful, Status.SUCCESS)
    forgetful.close(10)
    assert len(posts(stand_in, "/deployments")) == 1
    assert len(stand_in.statuses(1)) == 2


def test_the_deployment_that_a_job_of_github_made_is_not_taken_for_ours(
    adapter: GitHubClient, stand_in: GitHubServer, memory: Memory
) -> None:
    other = {"ref": REVISION, "environment": "production", "payload": "not JSON"}
    headers = {"authorization": TOKEN, "x-github-api-version": "2022-11-28"}
    stand_in.answer("POST", f"/repos/{REPOSITORY}/deployments", headers, json.dumps(other).encode())
    report(adapter, Status.QUEUED)
    adapter.close(10)
    assert memory.known == {"d1": 2}


@pytest.mark.parametrize("fault", ["502", "500", "rate-limit", "422", "202", "307", "garbage"])
def test_a_refused_deployment_is_posted_once_and_logged(
    adapter: GitHubClient, stand_in: GitHubServer, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    stand_in.break_with(fault, method="POST", path="/deployments")
    with caplog.at_level(logging.WARNING, "deployer.github"):
        report(adapter, Status.IN_PROGRESS)
        adapter.close(10)
    assert len(posts(stand_in, "/deployments")) == 1
    assert posts(stand_in, "/statuses") == []
    (line,) = [record.getMessage() for record in caplog.records if record.name == "deployer.github"]
    assert line.startswith("in_progress of deployment d1 for acme/shop: GitHub")


def test_a_refused_status_is_posted_once_and_the_next_one_still_goes_out(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    stand_in.break_with("502", method="POST", path="/statuses", times=1)
    report(adapter, Status.IN_PROGRESS, Status.SUCCESS)
    adapter.close(10)
    assert [call.status for call in posts(stand_in, "/statuses")] == [502, 201]
    assert [item["state"] for item in stand_in.statuses(1)] == ["success"]


def test_a_post_that_got_no_answer_is_not_repeated(stand_in: GitHubServer, memory: Memory) -> None:
    stand_in.break_with("hang", method="POST")
    adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory, timeout=1)
    report(adapter, Status.IN_PROGRESS)
    adapter.close(10)
    stand_in.mend()
    wait_for("the post", lambda: len(posts(stand_in, "/deployments")) >= 1)
    assert len(posts(stand_in, "/deployments")) == 1


@pytest.mark.case("F09")
def test_a_github_that_hangs_delays_neither_the_report_nor_the_end(
    stand_in: GitHubServer, memory: Memory
) -> None:
    stand_in.break_with("hang")
    adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory, timeout=120)
    begun = time.monotonic()
    report(adapter, *[Status.IN_PROGRESS] * 50)
    assert time.monotonic() - begun < 30
    assert not adapter.close(0.2)
    assert time.monotonic() - begun < 60
    stand_in.mend()
    assert adapter.close(10)


def test_when_too_much_waits_the_oldest_gives_way_and_the_log_says_so(
    adapter: GitHubClient, stand_in: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.break_with("hang", times=1)
    report(adapter, Status.QUEUED)
    with caplog.at_level(logging.WARNING, "deployer.github"):
        report(adapter, *[Status.IN_PROGRESS] * 210, Status.SUCCESS)
        stand_in.mend()
        adapter.close(20)
    assert "the queue of 200 is full; not sent: in_progress of deployment d1 for acme/shop" in caplog.messages
    assert stand_in.statuses(1)[-1]["state"] == "success"


def test_after_the_end_a_report_is_logged_not_sent(
    adapter: GitHubClient, stand_in: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    adapter.close(5)
    with caplog.at_level(logging.WARNING, "deployer.github"):
        report(adapter, Status.SUCCESS)
    assert "the deployer is stopping; not sent: success of deployment d1 for acme/shop" in caplog.messages
    assert stand_in.calls == []


@pytest.mark.parametrize(
    ("error", "level"), [(StoreUnavailable("disk full"), "WARNING"), (OSError("disk full"), "ERROR")]
)
def test_a_ledger_that_breaks_ends_neither_the_thread_nor_the_deploy(
    stand_in: GitHubServer, caplog: pytest.LogCaptureFixture, error: Exception, level: str
) -> None:
    class Broken(Memory):
        def remember_forge_id(self, deployment_id: str, forge_id: int) -> None:
            raise error

    adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=Broken())
    with caplog.at_level(logging.WARNING, "deployer.github"):
        report(adapter, Status.QUEUED, Status.SUCCESS)
        assert adapter.close(10)
    lines = [record for record in caplog.records if record.name == "deployer.github"]
    assert [line.levelname for line in lines] == [level, level]
    assert all("disk full" in line.getMessage() for line in lines)
    assert len(posts(stand_in, "/deployments")) == 1


def test_a_deployment_without_a_revision_is_not_reported(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    adapter.report(REPOSITORY, a_deployment(revision=""), LOG_URL, "")
    adapter.close(5)
    assert stand_in.calls == []


def test_the_token_is_in_no_log_line_and_no_error(
    adapter: GitHubClient, stand_in: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    report(adapter, Status.QUEUED)
    stand_in.break_with("echo", path="/statuses")
    report(adapter, Status.SUCCESS)
    adapter.close(10)
    stand_in.break_with("echo")
    with pytest.raises(GitHubUnavailable) as caught:
        adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert "[redacted]" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in caught.value.diagnostics()


def test_the_bundle_is_the_compose_file_and_the_files_it_names(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    bundle = adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert bundle.entry == "compose.yaml"
    assert bundle.files == {"compose.yaml": COMPOSE, "web.env": "A=1\n"}
    assert stand_in.breaches == []


def test_the_bundle_comes_from_the_revision_of_a_real_git_repository(tmp_path: Path, memory: Memory) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "compose.yaml").write_text("include:\n  - more.yaml\nservices: {}\n")
    (tmp_path / "deploy" / "more.yaml").write_text("services:\n  api:\n    env_file: ../api.env\n")
    (tmp_path / "api.env").write_text("NAME=ünï\n")
    (tmp_path / "other.env").write_text("never read\n")
    git("add", ".")
    git("commit", "-m", "one")
    first = git("rev-parse", "HEAD")
    (tmp_path / "api.env").write_text("NAME=later\n")
    git("commit", "-am", "two")
    with GitHubServer({REPOSITORY: tmp_path}) as stand_in:
        adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory)
        bundle = adapter.read_bundle(REPOSITORY, first, "deploy/compose.yaml")
        adapter.close(1)
    assert set(bundle.files) == {"deploy/compose.yaml", "deploy/more.yaml", "api.env"}
    assert bundle.files["api.env"] == "NAME=ünï\n"
    assert stand_in.breaches == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"text\0with a zero", b"#" * (MAX_FILE_BYTES + 1)])
def test_what_is_not_text_or_too_large_is_left_out(memory: Memory, content: bytes) -> None:
    files: dict[str, str | bytes] = {"compose.yaml": COMPOSE, "web.env": content}
    with GitHubServer({REPOSITORY: {REVISION: files}}) as stand_in:
        adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory)
        assert set(adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml").files) == {"compose.yaml"}
        adapter.close(1)


@pytest.mark.parametrize("files", [{"README.md": "x"}, {"compose.yaml": b"\xff\xfe"}])
def test_a_revision_without_a_readable_compose_file_is_an_incomplete_release(
    memory: Memory, files: dict[str, str | bytes]
) -> None:
    with GitHubServer({REPOSITORY: {REVISION: files}}) as stand_in:
        adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory)
        with pytest.raises(ReleaseIncomplete, match=r"compose\.yaml"):
            adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
        adapter.close(1)


def test_a_tree_that_github_cut_off_is_an_incomplete_release(
    adapter: GitHubClient, stand_in: GitHubServer
) -> None:
    stand_in.truncated = True
    with pytest.raises(ReleaseIncomplete) as caught:
        adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert "the action" in caught.value.hint


@pytest.mark.parametrize(
    ("repository", "revision"), [("acme/unknown", REVISION), (REPOSITORY, REVISION[::-1])]
)
def test_an_unknown_repository_or_revision_names_the_token_as_a_cause(
    adapter: GitHubClient, repository: str, revision: str
) -> None:
    with pytest.raises(GitHubUnavailable, match="404") as caught:
        adapter.read_bundle(repository, revision, "compose.yaml")
    assert "github.token-file" in caught.value.hint


def test_a_wrong_token_is_named(stand_in: GitHubServer, memory: Memory) -> None:
    adapter = GitHubClient(api=stand_in.url, token="other", ledger=memory)
    with pytest.raises(GitHubUnavailable, match="401 Bad credentials") as caught:
        adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    adapter.close(1)
    assert "github.token-file" in caught.value.hint


def test_reading_survives_one_bad_answer(adapter: GitHubClient, stand_in: GitHubServer) -> None:
    stand_in.break_with("502", method="GET", times=1)
    assert adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml").files


@pytest.mark.parametrize("fault", ["502", "rate-limit", "garbage", "422"])
@pytest.mark.case("F09")
def test_reading_from_a_broken_github_says_that_it_is_github(
    adapter: GitHubClient, stand_in: GitHubServer, fault: str
) -> None:
    stand_in.break_with(fault)
    with pytest.raises(GitHubUnavailable) as caught:
        adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert "GitHub" in str(caught.value)
    assert caught.value.hint
    assert caught.value.__cause__ is None


@pytest.mark.case("F09")
def test_reading_from_a_github_that_hangs_ends(stand_in: GitHubServer, memory: Memory) -> None:
    stand_in.break_with("hang")
    adapter = GitHubClient(api=stand_in.url, token=TOKEN, ledger=memory, timeout=1)
    begun = time.monotonic()
    with pytest.raises(GitHubUnavailable, match="cannot be reached"):
        adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    adapter.close(1)
    assert time.monotonic() - begun < 60


def test_nobody_at_the_address_is_an_unavailable_github(memory: Memory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        adapter = GitHubClient(api=f"http://127.0.0.1:{taken.getsockname()[1]}", token=TOKEN, ledger=memory)
        with pytest.raises(GitHubUnavailable, match="cannot be reached"):
            adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml")
        adapter.close(1)


def test_two_threads_read_at_once(adapter: GitHubClient) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(len(adapter.read_bundle(REPOSITORY, REVISION, "compose.yaml").files))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [2] * 8


def test_without_a_token_reports_go_nowhere_and_reading_says_what_to_configure() -> None:
    github = NoGitHub()
    github.report(REPOSITORY, a_deployment(), LOG_URL, "")
    assert github.close(0)
    with pytest.raises(GitHubUnavailable) as caught:
        github.read_bundle(REPOSITORY, REVISION, "compose.yaml")
    assert "github.token-file" in caught.value.hint
