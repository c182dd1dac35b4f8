"""The checkout, from a real git server that wants the job's token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.github.git_server import GitServer, login_of
from tests.ci.conftest import COMPOSE, Workflow, commit_all, git
from tests.ci.steps.test_decide import INPUTS

TOKEN = "ghs_canary0a1b2c3d4e5f"
CODED = login_of(TOKEN).removeprefix("Basic ")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """acme/shop with two commits and a merge commit that no branch names, as a pull request has it."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "compose.yaml").write_text(COMPOSE)
    (source / "file").write_text("one")
    commit_all(source)
    (source / "file").write_text("two")
    commit_all(source)
    bare = tmp_path / "served" / "Acme" / "Shop"
    git(tmp_path, "clone", "-q", "--bare", str(source), str(bare))
    git(bare, "config", "http.receivepack", "false")
    return bare


@pytest.fixture
def server(origin: Path, tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served", f"Basic {CODED}") as made:
        yield made


@pytest.fixture
def empty(run: Workflow, server: GitServer) -> Workflow:
    """A job without actions/checkout."""
    for path in run.workspace.iterdir():
        path.unlink()
    run.env["GITHUB_SERVER_URL"] = server.url
    run.keep("decision", {"mode": "deploy", "reason": "", "environment": "production"})
    return run


@pytest.mark.parametrize("back", [0, 1])
def test_an_empty_workspace_gets_exactly_the_events_commit(empty: Workflow, origin: Path, back: int) -> None:
    sha = empty.env["GITHUB_SHA"] = git(origin, "rev-parse", f"HEAD~{back}")
    step = empty.verb("checkout", github_token=TOKEN)
    assert step.code == 0, step.log
    assert (empty.workspace / "file").read_text() == ("one" if back else "two")
    assert git(empty.workspace, "rev-parse", "HEAD") == sha
    assert git(empty.workspace, "rev-list", "--count", "HEAD") == "1"
    assert git(empty.workspace, "status", "--porcelain") == ""


def test_a_runner_that_keeps_its_workspace_gets_the_next_commit(empty: Workflow, origin: Path) -> None:
    """Nothing of the run before stays, not even what a kill in the middle of it left."""
    for back in (1, 0):
        empty.env |= {"GITHUB_SHA": git(origin, "rev-parse", f"HEAD~{back}"), "GITHUB_RUN_ID": f"1{back}"}
        step = empty.verb("checkout", github_token=TOKEN)
        assert step.code == 0, step.log
        assert (empty.workspace / "file").read_text() == ("one" if back else "two")
        assert git(empty.workspace, "status", "--porcelain", "--ignored") == ""
        (empty.workspace / "made").mkdir()
        (empty.workspace / "made" / "by-the-test").write_text("x")
        (empty.workspace / "file").write_text("changed")
        (empty.workspace / ".git" / "index.lock").touch()


def test_a_kept_workspace_is_looked_at_after_its_refill(empty: Workflow, origin: Path) -> None:
    """A Compose file that is new in this commit is not missed in the one before."""
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    (empty.workspace / "compose.yaml").unlink()
    empty.env |= {"GITHUB_RUN_ATTEMPT": "3", "GITHUB_REF": "refs/heads/topic", "GITHUB_EVENT_NAME": "push"}
    step = empty.verb("decide", **INPUTS)
    assert step.code == 0, step.log
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    assert (empty.workspace / "compose.yaml").exists()


def test_a_checkout_that_failed_does_not_block_the_next_run(empty: Workflow, origin: Path) -> None:
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    assert empty.verb("checkout", github_token="wrong").code == 1
    empty.env |= {"GITHUB_RUN_ATTEMPT": "3", "GITHUB_REF": "refs/heads/topic", "GITHUB_EVENT_NAME": "push"}
    assert empty.verb("decide", **INPUTS).code == 0
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    assert (empty.workspace / "file").read_text() == "two"


def test_nothing_that_a_test_left_in_git_meets_the_next_token(
    empty: Workflow, origin: Path, server: GitServer
) -> None:
    """A proxy, a filter, a program that git would run: of the run before nothing stays."""
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    git(empty.workspace, "config", "http.proxy", "http://127.0.0.1:9")
    git(empty.workspace, "config", "filter.evil.smudge", "sed s/two/EVIL/")
    git(empty.workspace, "config", "core.fsmonitor", f"touch {empty.folder}/ran; false")
    (empty.workspace / ".git" / "info" / "attributes").write_text("file filter=evil\n")
    empty.env["GITHUB_RUN_ATTEMPT"] = "3"
    step = empty.verb("checkout", github_token=TOKEN)
    assert step.code == 0, step.log
    assert (empty.workspace / "file").read_text() == "two" and not (empty.folder / "ran").exists()


def test_a_commit_that_git_cannot_tell_is_not_taken_for_this_one(run: Workflow) -> None:
    commit_all(run.workspace)
    (run.workspace / ".git" / "HEAD").write_text("broken")
    assert "git cannot say which commit" in run.verb("checkout").error


def test_a_second_use_in_one_job_keeps_what_steps_have_made(empty: Workflow, origin: Path) -> None:
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    (empty.workspace / "made").write_text("by a step between")
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    assert (empty.workspace / "made").read_text() == "by a step between"


def test_a_workspace_into_which_another_action_fetched_is_theirs(empty: Workflow, origin: Path) -> None:
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    git(empty.workspace, "fetch", "-q", str(origin), "HEAD")  # as actions/checkout does in the next run
    (empty.workspace / "made").write_text("by a step after it")
    empty.env["GITHUB_RUN_ID"] = "78"
    assert empty.verb("checkout", github_token=TOKEN).code == 0
    assert (empty.workspace / "made").read_text() == "by a step after it"


def test_the_token_is_on_no_disk_in_no_log_and_in_no_argument(
    empty: Workflow, origin: Path, server: GitServer
) -> None:
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", "HEAD")
    seen: list[bytes] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(path.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    step = empty.verb("checkout", github_token=TOKEN)
    over.set()
    watcher.join()
    assert step.code == 0
    assert f"Basic {CODED}" in server.logins
    secrets = (TOKEN.encode(), CODED.encode())
    assert any(b"checkout" in line for line in seen)
    assert not [line for line in seen if any(secret in line for secret in secrets)]
    files = [path for path in empty.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    assert TOKEN in step.console.masks and CODED in step.console.masks
    assert TOKEN not in step.log and CODED not in step.log


@pytest.mark.parametrize(("token", "sha"), [("wrong", "HEAD"), ("", "HEAD"), (TOKEN, "")])
def test_what_cannot_be_fetched_is_one_error_with_the_next_step(
    empty: Workflow, origin: Path, token: str, sha: str
) -> None:
    empty.env["GITHUB_SHA"] = git(origin, "rev-parse", sha) if sha else "d" * 40
    step = empty.verb("checkout", github_token=token)
    assert step.code == 1
    assert "checkout-failed" in step.error and "contents: read" in step.error
    assert "Traceback" not in step.errors


def test_a_full_workspace_is_used_as_it_is(run: Workflow, server: GitServer) -> None:
    run.env |= {"GITHUB_SHA": commit_all(run.workspace), "GITHUB_SERVER_URL": server.url}
    (run.workspace / "made").write_text("by a step before")
    (run.workspace / "app.env").write_text("CHANGED=1\n")
    assert run.verb("checkout", github_token=TOKEN).code == 0
    assert (run.workspace / "made").read_text() == "by a step before"
    assert (run.workspace / "app.env").read_text() == "CHANGED=1\n"
    assert server.logins == []


def test_a_workspace_without_git_is_used_as_it_is(run: Workflow) -> None:
    step = run.verb("checkout")
    assert step.code == 0
    assert "an unknown commit" in step.log


@pytest.mark.parametrize(("mode", "code"), [("deploy", 1), ("build", 1), ("test", 0)])
def test_another_commit_may_be_tested_and_never_leaves_under_this_ones_name(
    run: Workflow, mode: str, code: int
) -> None:
    commit_all(run.workspace)
    run.keep("decision", {"mode": mode})
    step = run.verb("checkout")
    assert step.code == code
    (annotation,) = step.console.annotations
    assert annotation.kind == ("error" if code else "notice")
    assert "this run is for " + run.env["GITHUB_SHA"] in annotation.text


def test_what_is_left_out_is_said(empty: Workflow, origin: Path, tmp_path: Path) -> None:
    work = tmp_path / "source"
    (work / ".gitmodules").write_text("")
    (work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs\n")
    empty.env["GITHUB_SHA"] = commit_all(work)
    git(work, "push", "-q", str(origin), "HEAD:refs/heads/lfs")
    step = empty.verb("checkout", github_token=TOKEN)
    assert [one.text for one in step.console.annotations] == [
        "submodules and files in Git LFS are not fetched here; put actions/checkout before this step"
    ]


def test_a_commit_without_a_compose_file_is_named(run: Workflow) -> None:
    (run.workspace / "compose.yaml").unlink()
    run.env["GITHUB_SHA"] = commit_all(run.workspace)
    assert "compose.yaml" in run.verb("checkout").error


def test_decide_leaves_an_empty_workspace_to_the_checkout(empty: Workflow) -> None:
    step = empty.verb("decide", **INPUTS)
    assert step.code == 0, step.log
