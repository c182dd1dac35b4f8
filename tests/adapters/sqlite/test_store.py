"""The queue and the record on a real SQLite file: what waits, what runs, what wins, what is kept."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import Forbidden, NotFound
from deployer.core.images import Image
from deployer.core.model import DeployJob, GivenVariables, Kind, Run, Status, Trigger
from deployer.core.queue.supersede import MAX_ATTEMPTS
from testing.receiver.jobs import LOGIN, job, kinds, release, run_through
from testing.receiver.receiver_inputs import BUNDLE


@pytest.mark.case("H07")
def test_a_wish_for_one_shot_tasks_is_kept_and_one_of_before_opens_without(store: SqliteStore) -> None:
    for asked in (True, False):
        made, _ = store.queue.enqueue(
            DeployJob("shop", "production", Kind.ROLLBACK, Trigger.CLI, "ada", run_tasks=asked), 1.0
        )
        claimed = store.queue.claim(2.0)
        assert claimed and claimed[0].id == made.id and claimed[1].run_tasks is asked
        store.queue.requeue_interrupted(3.0)
        again = store.queue.claim(4.0)
        assert again and again[1].run_tasks is asked
        store.queue.finish(made.id, Status.SUCCESS, "", 5.0)


def test_what_was_queued_is_claimed_as_it_was_asked_for(store: SqliteStore) -> None:
    asked = job(12, 2, credentials=LOGIN)
    queued, outcome = store.queue.enqueue(asked, 100.0)
    assert (outcome, queued.status, queued.run, queued.created_at) == (
        "queued",
        Status.QUEUED,
        Run(12, 2),
        100.0,
    )
    claimed = store.queue.claim(101.0)
    assert claimed
    deployment, got = claimed
    assert got == asked
    assert (deployment.id, deployment.status, deployment.started_at) == (queued.id, Status.IN_PROGRESS, 101.0)
    assert deployment.attempts == 1
    assert store.queue.claim(102.0) is None


def test_a_wish_without_images_and_run_comes_back_so(store: SqliteStore) -> None:
    asked = job(run=None, images=None, bundle=None, kind=Kind.REDEPLOY, release="0123", workflow="")
    store.queue.enqueue(asked, 1.0)
    claimed = store.queue.claim(2.0)
    assert claimed
    assert claimed[1] == asked
    assert claimed[0].release == "0123"


def test_workers_are_told_of_what_nobody_waits_for_yet(store: SqliteStore) -> None:
    told: list[str] = []
    store.queue.queued = lambda: told.append("queued")
    store.queue.enqueue(job(1), 1.0)
    assert told == ["queued"]
    store.queue.enqueue(job(2), 2.0)
    store.queue.enqueue(job(2), 3.0)
    assert told == ["queued"], "whoever comes for the first finds the second, and a duplicate is nothing new"
    assert store.queue.claim(4.0)
    store.queue.enqueue(job(3), 5.0)
    assert told == ["queued"] * 2


@pytest.mark.case("B05", "B07")
def test_an_older_run_is_stale_and_points_to_the_newer(store: SqliteStore) -> None:
    newest, _ = store.queue.enqueue(job(12, 2), 1.0)
    for number, attempt in [(12, 1), (11, 9)]:
        found, outcome = store.queue.enqueue(job(number, attempt), 2.0)
        assert (outcome, found.id) == ("stale", newest.id)
    store.queue.claim(3.0)
    store.queue.finish(newest.id, Status.FAILURE, "", 4.0)
    assert store.queue.enqueue(job(11, 9), 5.0)[1] == "stale"


def test_the_same_run_is_one_deployment_until_it_failed(store: SqliteStore) -> None:
    first, _ = store.queue.enqueue(job(), 1.0)
    assert store.queue.enqueue(job(), 2.0) == (first, "duplicate")
    store.queue.claim(3.0)
    assert store.queue.enqueue(job(), 4.0)[1] == "duplicate"
    store.queue.finish(first.id, Status.FAILURE, "", 5.0)
    second, outcome = store.queue.enqueue(job(), 6.0)
    assert outcome == "queued"
    assert second.id != first.id
    store.queue.claim(7.0)
    store.queue.finish(second.id, Status.SUCCESS, "", 8.0)
    assert store.queue.enqueue(job(), 9.0)[0].id == second.id


def test_a_webhook_for_a_run_that_the_action_brought_is_a_duplicate(store: SqliteStore) -> None:
    store.queue.enqueue(job(), 1.0)
    assert store.queue.enqueue(job(images=None, bundle=None, trigger=Trigger.WEBHOOK), 2.0)[1] == "duplicate"


@pytest.mark.case("B06")
def test_one_attempt_of_a_run_cannot_ask_for_two_sets_of_images(store: SqliteStore) -> None:
    store.queue.enqueue(job(), 1.0)
    with pytest.raises(Forbidden, match="images"):
        store.queue.enqueue(job(images={"web": Image("ghcr.io/acme/shop-web", "sha256:" + "c" * 64)}), 2.0)


def test_numbers_of_another_workflow_are_no_older_and_no_newer(store: SqliteStore) -> None:
    store.queue.enqueue(job(500), 1.0)
    assert store.queue.enqueue(job(1, workflow="new.yml"), 2.0)[1] == "queued"


def test_apps_and_environments_have_queues_of_their_own(store: SqliteStore) -> None:
    store.queue.enqueue(job(5), 1.0)
    for other in (job(4, environment="staging"), job(4, app="admin")):
        assert store.queue.enqueue(other, 2.0)[1] == "queued"
    claimed = [store.queue.claim(3.0), store.queue.claim(3.0), store.queue.claim(3.0)]
    assert [(item[0].app, item[0].environment) for item in claimed if item] == [
        ("shop", "production"),
        ("shop", "staging"),
        ("admin", "production"),
    ]


def test_a_newer_one_takes_the_place_of_the_one_that_waits(store: SqliteStore) -> None:
    old, _ = store.queue.enqueue(job(1, credentials=LOGIN), 1.0)
    new, _ = store.queue.enqueue(job(2), 2.0)
    ended = store.deployments.get(old.id)
    assert (ended.status, ended.reason, ended.ended_at) == (Status.INACTIVE, f"superseded by {new.id}", 2.0)
    assert kinds(store, old.id) == ["enqueue", "end"]
    claimed = store.queue.claim(3.0)
    assert claimed and claimed[0].id == new.id


@pytest.mark.case("B10", "B11")
def test_pushes_during_a_rollout_wait_and_become_one_more_deployment(store: SqliteStore) -> None:
    store.queue.enqueue(job(1), 1.0)
    first = store.queue.claim(1.0)
    assert first
    for number in range(2, 52):
        assert store.queue.enqueue(job(number), 2.0)[1] == "queued"
        assert store.queue.claim(2.0) is None
    store.queue.finish(first[0].id, Status.SUCCESS, "", 3.0)
    second = store.queue.claim(4.0)
    assert second and second[0].run == Run(51, 1)
    store.queue.finish(second[0].id, Status.SUCCESS, "", 5.0)
    assert store.queue.claim(6.0) is None


@pytest.mark.parametrize("kind", [Kind.REDEPLOY, Kind.ROLLBACK])
def test_what_a_person_asks_for_is_never_too_late(store: SqliteStore, kind: Kind) -> None:
    run_through(store, job(12), Status.SUCCESS)
    manual = job(run=None, kind=kind, release="0123", workflow="")
    assert store.queue.enqueue(manual, 4.0)[1] == "queued"
    assert store.queue.enqueue(job(11), 5.0)[1] == "stale"


def test_a_finished_deployment_has_its_story_and_no_wish_any_more(store: SqliteStore, tmp_path: Path) -> None:
    ended = run_through(store, job(credentials=LOGIN), Status.FAILURE)
    assert (ended.status, ended.started_at, ended.ended_at) == (Status.FAILURE, 2.0, 3.0)
    assert [event.n for event in store.events.read(ended.id)] == [1, 2, 3]
    assert kinds(store, ended.id) == ["enqueue", "claim", "end"]
    row = sqlite3.connect(tmp_path / "deployer.db").execute(
        "SELECT sealed_wish, sealed_credentials FROM deployment"
    )
    assert row.fetchall() == [(None, None)]


def test_a_deployment_ends_once(store: SqliteStore) -> None:
    ended = run_through(store, job(), Status.SUCCESS)
    assert store.queue.finish(ended.id, Status.ERROR, "late", 9.0) == ended
    assert kinds(store, ended.id).count("end") == 1


def test_unknown_ids_are_not_found(store: SqliteStore) -> None:
    for ask in (store.deployments.get, store.releases.get):
        with pytest.raises(NotFound):
            ask("0123")
    with pytest.raises(NotFound):
        store.queue.finish("0123", Status.SUCCESS, "", 1.0)


def test_events_are_numbered_and_read_from_any_point(store: SqliteStore) -> None:
    id = store.queue.enqueue(job(), 1.0)[0].id
    store.events.append(id, "pull", "web: half \udcff a byte\nand a line", 2.0)
    store.events.append(id, "plan", "x" * 30_000, 3.0)
    events = store.events.read(id, after=1)
    assert [(event.n, event.kind) for event in events] == [(2, "pull"), (3, "plan")]
    assert events[0].text == "web: half ? a byte\nand a line"
    assert len(events[1].text) == 20_000


def test_ids_sort_by_time_and_are_not_numbered_on(store: SqliteStore) -> None:
    ids = [store.queue.enqueue(job(number), 1_700_000_000.0 + number)[0].id for number in range(1, 20)]
    assert sorted(ids) == ids
    assert len({id[12:] for id in ids}) == 19


def test_an_interrupted_deployment_runs_again_with_its_wish_and_is_given_up_in_the_end(
    store: SqliteStore,
) -> None:
    id = store.queue.enqueue(job(credentials=LOGIN), 1.0)[0].id
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = store.queue.claim(2.0)
        assert claimed and claimed[0].attempts == attempt and claimed[1].credentials == LOGIN
        [left] = store.queue.requeue_interrupted(3.0)
        assert left.id == id
    assert left.status is Status.ERROR
    assert "[interrupted]" in left.reason
    assert kinds(store, id)[-1] == "end"
    assert store.queue.claim(4.0) is None
    assert store.queue.requeue_interrupted(5.0) == []


def test_an_interrupted_deployment_gives_way_to_the_one_that_waits(store: SqliteStore) -> None:
    old, _ = store.queue.enqueue(job(1), 1.0)
    store.queue.claim(2.0)
    new, _ = store.queue.enqueue(job(2), 3.0)
    [left] = store.queue.requeue_interrupted(4.0)
    assert (left.id, left.status, left.reason) == (old.id, Status.INACTIVE, f"superseded by {new.id}")
    claimed = store.queue.claim(5.0)
    assert claimed and claimed[0].id == new.id


def test_v1_variables_of_both_ranks_come_back_from_the_queue(store: SqliteStore) -> None:
    store.queue.enqueue(replace(job(), variables={"A": "1"}, defaults={"B": "2"}), 1.0)
    claimed = store.queue.claim(2.0)
    assert claimed and (claimed[1].variables, claimed[1].defaults) == ({"A": "1"}, {"B": "2"})


def test_the_same_content_is_one_release_and_any_other_another(store: SqliteStore) -> None:
    id = store.queue.enqueue(job(), 1.0)[0].id
    saved = store.releases.save(id, release(), 0.0)
    assert saved == replace(release(), id=saved.id)
    assert store.releases.get(saved.id) == saved
    assert store.deployments.get(id).release == saved.id
    assert store.releases.save(id, release(), 0.0).id == saved.id
    others = [
        release(app="admin"),
        release(revision="b" * 40),
        release(variables={"PASSWORD": "other"}),
        release(given=GivenVariables({"A": "1"}, {})),
        release(given=GivenVariables({}, {"A": "1"})),
        release(images={}),
        release(bundle=replace(BUNDLE, files={"compose.yaml": "services: {}\n"})),
    ]
    assert len({store.releases.save(id, other, 0.0).id for other in others} | {saved.id}) == 8
    assert [store.releases.save(id, other, 0.0).given for other in others[3:5]] == [
        other.given for other in others[3:5]
    ]


def test_what_serves_and_what_served_before(store: SqliteStore) -> None:
    assert store.deployments.serving("shop", "production") is None
    a, b = release(revision="a" * 40), release(revision="b" * 40)
    first = run_through(store, job(1), Status.SUCCESS, a)
    second = run_through(store, job(2), Status.SUCCESS, b)
    failed = run_through(store, job(3), Status.FAILURE, release(revision="c" * 40))
    serving = store.deployments.serving("shop", "production")
    assert serving and serving.id == second.id
    before = store.deployments.before("shop", "production", serving.release)
    assert before and before.id == first.id
    assert store.deployments.before("shop", "production", "") == serving
    assert store.deployments.before("shop", "staging", "x") is None
    newest = store.deployments.history("shop", "production", limit=2)
    assert [item.id for item in newest] == [failed.id, second.id]


def test_the_only_release_has_none_before_it(store: SqliteStore) -> None:
    run_through(store, job(1), Status.SUCCESS, release())
    again = run_through(store, job(2), Status.SUCCESS, release())
    assert again.release
    assert store.deployments.before("shop", "production", again.release) is None
