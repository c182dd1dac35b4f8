"""A webhook's run deploys commits of its branch only: a tag of the same name, which whoever writes may push,
does not speak for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.adapters.github.github_client import GitHubClient
from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import Forbidden, GitHubUnavailable
from deployer.core.model import DeployJob, Kind, Status, Trigger
from deployer.deployment.deploy import deploy
from deployer.deployment.release.branch_check import check_branch
from testing.github.rest_api import GitHubServer
from testing.receiver.receiver_inputs import config_of
from tests.deployment.test_deploy import Scene


class Repository:
    """acme/shop: three commits on main, and one beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch", "main")
        self.main = [self.commit(text) for text in "abc"]
        self.git("switch", "--quiet", "--detach", self.main[0])
        self.leftovers = self.commit("stray")
        self.git("switch", "--quiet", "main")

    def commit(self, text: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", text)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
        done = subprocess.run(["git", *who, "-C", self.folder, *words], capture_output=True, check=True)
        return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "git"
    folder.mkdir()
    return Repository(folder)


@pytest.fixture
def github(repository: Repository, store: SqliteStore) -> Iterator[GitHubClient]:
    with GitHubServer({"acme/shop": repository.folder}, token="t") as stand_in:
        github = GitHubClient(api=stand_in.url, token="t", ledger=store.github_ids)
        yield github
        github.close(5)
        assert stand_in.breaches == []


def check(github: GitHubClient, revision: str, *, setting: str = "main", branch: str = "") -> None:
    app = config_of(branch=setting).app("shop")
    job = DeployJob("shop", "production", Kind.DEPLOY, Trigger.WEBHOOK, "ada", revision, branch=branch)
    check_branch(job, app, app.environment("production"), github)


def test_the_branchs_commits_pass_also_when_it_has_moved_on(
    github: GitHubClient, repository: Repository
) -> None:
    for revision in repository.main:
        check(github, revision)


@pytest.mark.case("A22")
def test_a_tag_named_like_the_branch_deploys_nothing_that_is_not_on_it(
    github: GitHubClient, repository: Repository
) -> None:
    repository.git("tag", "main", repository.leftovers)
    with pytest.raises(Forbidden, match="is no commit of the branch 'main'"):
        check(github, repository.leftovers)
    repository.git("tag", "--delete", "main")  # before the run ends: what is on the branch does not change
    with pytest.raises(Forbidden, match="is no commit of the branch 'main'"):
        check(github, repository.leftovers)


@pytest.mark.case("A22")
@pytest.mark.parametrize("kind", ["light", "annotated"])
def test_a_tag_named_like_the_branch_takes_production_back_to_no_older_commit(
    github: GitHubClient, repository: Repository, kind: str
) -> None:
    repository.git("tag", *(("-a", "-m", "x") if kind == "annotated" else ()), "main", repository.main[0])
    with pytest.raises(Forbidden, match="a tag has the same name as the branch 'main'"):
        check(github, repository.main[0])
    check(github, repository.main[-1])  # the newest commit of the branch, whatever the run was for


def test_of_a_pattern_the_runs_own_branch_counts(github: GitHubClient, repository: Repository) -> None:
    repository.git("branch", "release/1", repository.leftovers)
    check(github, repository.leftovers, setting="release/*", branch="release/1")
    with pytest.raises(Forbidden, match="is no commit of the branch 'release/2'"):
        check(github, repository.leftovers, setting="release/*", branch="release/2")


def test_a_commit_that_github_does_not_know_is_no_commit_of_the_branch(github: GitHubClient) -> None:
    with pytest.raises(Forbidden):
        check(github, "d" * 40)


def test_the_branches_at_a_commit_are_named(github: GitHubClient, repository: Repository) -> None:
    repository.git("branch", "release/1", repository.main[-1])
    assert sorted(github.branches_at("acme/shop", repository.main[-1])) == ["main", "release/1"]
    assert github.branches_at("acme/shop", repository.leftovers) == []
    assert github.branches_at("acme/shop", "d" * 40) == []


def test_without_a_token_nothing_can_be_looked_up() -> None:
    blind = NoGitHub()
    for ask in (
        lambda: blind.branches_at("acme/shop", "a" * 40),
        lambda: blind.contains("acme/shop", "a" * 40, "b" * 40),
        lambda: blind.has_tag("acme/shop", "main"),
    ):
        with pytest.raises(GitHubUnavailable, match="no GitHub token"):
            ask()


def test_a_refused_run_touches_nothing(tmp_path: Path, github: GitHubClient, repository: Repository) -> None:
    scene = Scene(tmp_path)
    scene.deploy("aa")
    scene.context = replace(scene.context, github=github)
    scene.store.queue.enqueue(
        DeployJob("shop", "production", Kind.DEPLOY, Trigger.WEBHOOK, "ada", repository.leftovers),
        scene.clock.now(),
    )
    scene.target.calls.clear()
    claimed = scene.store.queue.claim(scene.clock.now())
    assert claimed
    ended = deploy(*claimed, scene.context)
    assert ended.status is Status.ERROR and "is no commit of the branch" in ended.reason
    assert scene.marks() == "aa" and scene.target.calls == []
    scene.store.close()
