"""A database that an older build wrote: it opens, everything in it is found, and its releases come back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.sqlite.schema import VERSION
from deployer.core.auth.api_tokens import PERSON_PREFIX, READ_PREFIX, Right
from deployer.core.errors import TokenRejected
from deployer.core.model import Credentials, DeployJob, Kind, Run, Status, Trigger
from deployer.core.ports.arrivals import Proof
from deployer.core.queue.delegated_task import TaskKind
from deployer.core.queue.supersede import Outcome
from deployer.deployment.deploy import deploy
from testing.compose_models import image
from tests.deployment.test_deploy import Scene

TESTDATA = Path(__file__).parent / "testdata"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A server of this build on the state folder of commit 5c4dc69."""
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes((TESTDATA / "5c4dc69.key").read_bytes())
    database = sqlite3.connect(tmp_path / "deployer.db")
    database.executescript((TESTDATA / "5c4dc69.sql").read_text("utf-8"))
    database.close()
    made = Scene(tmp_path)
    made.clock.time = 3000.0
    yield made
    made.store.close()


def test_a_release_of_an_older_build_is_rolled_back_to(scene: Scene) -> None:
    deployments = scene.store.deployments
    serving = deployments.serving("shop", "production")
    assert serving and serving.revision == "b" * 40
    before = deployments.before("shop", "production", serving.release)
    assert before and before.revision == "a" * 40
    for release, marks in ((before.release, "aa"), (serving.release, "bb")):
        back = DeployJob("shop", "production", Kind.ROLLBACK, Trigger.CLI, "ada", release=release)
        scene.store.queue.enqueue(back, scene.clock.now())
        claimed = scene.store.queue.claim(scene.clock.now())
        assert claimed
        ended = deploy(*claimed, scene.context)
        assert (ended.status, ended.release, scene.marks()) == (Status.SUCCESS, release, marks)
    assert scene.store.releases.get(before.release).images["backend"] == image("backend", "a")
    assert scene.store.releases.get(serving.release).variables["GIVEN"] == "of-the-past"
    kept = scene.store.releases.keep("shop", lambda history: {one.release for one in history})
    assert kept == 0, "the marks of the older build's successes are believed"


def test_v4_a_redeploy_of_an_older_builds_release_keeps_its_variables(scene: Scene) -> None:
    serving = scene.store.deployments.serving("shop", "production")
    assert serving
    again = DeployJob("shop", "production", Kind.REDEPLOY, Trigger.CLI, "ada", release=serving.release)
    scene.store.queue.enqueue(again, scene.clock.now())
    claimed = scene.store.queue.claim(scene.clock.now())
    assert claimed
    ended = deploy(*claimed, scene.context)
    assert (ended.status, ended.release) == (Status.SUCCESS, serving.release)


def test_the_queue_of_an_older_build_goes_on(scene: Scene) -> None:
    queue = scene.store.queue
    [interrupted] = queue.requeue_interrupted(3000.0)
    assert (interrupted.app, interrupted.status) == ("admin", Status.QUEUED)
    assert scene.store.confirmations.read(interrupted.id).awaited(3000.0)
    first, second = queue.claim(3001.0), queue.claim(3001.0)
    assert first and second and queue.claim(3001.0) is None
    assert (first[0].id, first[0].attempts) == (interrupted.id, 2)
    assert (first[1].trigger, first[1].run, first[1].branch) == (Trigger.WEBHOOK, Run(3, 1), "release/1")
    job = second[1]
    assert (job.trigger, job.run, job.workflow) == (Trigger.ACTION, Run(12, 2), "deploy.yml")
    assert job.images == {name: image(name, "c") for name in ("backend", "frontend")}
    assert job.bundle and job.bundle.files == {"compose.yaml": "services: {}\n"}
    assert job.credentials == Credentials("ghcr.io", "octocat", "login-of-the-past")
    assert (job.variables, job.confirm, job.run_tasks, job.tested) == ({"A": "1"}, 30, False, None)
    older = DeployJob(
        "shop", "production", Kind.DEPLOY, Trigger.WEBHOOK, "ada", run=Run(11, 1), workflow="deploy.yml"
    )
    assert queue.enqueue(older, 3002.0)[1] is Outcome.STALE


def test_tasks_and_proofs_of_an_older_build_are_found(scene: Scene) -> None:
    for kind in (TaskKind.PLAN, TaskKind.HINT):
        task = scene.store.tasks.next(3000.0)
        assert task and task.task is kind and task.jobs[0].revision == "c" * 40
        scene.store.tasks.drop(task.id)
    assert scene.store.tasks.next(3000.0) is None
    for jti in ("token-1", "token-2"):
        with pytest.raises(TokenRejected, match="before"):
            scene.store.proofs.spend(Proof(jti, 4e9), 3000.0)
    arrived = [scene.store.deliveries.was_delivered(f"guid-{number}") for number in range(1, 5)]
    assert arrived == [True, True, True, False]
    assert scene.store.deliveries.looked_at("acme/shop") == 2004.0


def test_the_record_of_an_older_build_is_found(scene: Scene) -> None:
    store = scene.store
    newest, second, first = store.deployments.history("shop", "production")
    assert (newest.status, second.status, first.status) == (Status.QUEUED, Status.SUCCESS, Status.SUCCESS)
    assert second.measured and second.measured.longest_gap_ms == 20.5 and second.previous == "a" * 40
    assert store.events.read(first.id)[-1].text == "success"
    assert store.github_ids.forge_id(first.id) == 145
    assert store.read_tokens.may_read(first.id, f"{READ_PREFIX}reads-the-first")
    token = store.tokens.find(f"{PERSON_PREFIX}of-ada")
    assert token and (token.name, token.can) == ("ada", frozenset({Right.ROLLBACK}))
    assert len(store.images.pulled()) == 4 and store.images.proven("shop", "production") == []
    assert store.startup_durations.read("shop", "production")["backend"] == 1.5
    last, wrong = store.audit.verify()
    assert (last.n, wrong) == (10, ""), "nine entries, and one that a process without the key left beside"
    assert store._database.read("PRAGMA user_version")[0][0] == VERSION
