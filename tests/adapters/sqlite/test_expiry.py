"""The record stops growing, and nothing that is still needed goes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import pytest

from deployer.adapters.sqlite import expiry
from deployer.adapters.sqlite.expiry import _OF_A_DEPLOYMENT, KEEP_READ_TOKENS
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import StoreUnavailable
from deployer.core.images import Image
from deployer.core.model import Deployment, Run, Status
from deployer.core.ports.arrivals import Proof
from deployer.core.queue.delegated_task import MOST_PLANS, TaskKind
from deployer.core.webhooks.delivery import Delivery
from testing.receiver.jobs import job, release


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "KEEP", 5)
    monkeypatch.setattr(expiry, "_AT_ONCE", 3)


def deployed(
    store: SqliteStore,
    number: int,
    status: Status = Status.FAILURE,
    app: str = "shop",
    workflow: str = "deploy.yml",
) -> str:
    """One deployment from its delivery to its end, with everything that belongs to it."""
    made = job(number, app=app, workflow=workflow)
    id = store.queue.enqueue(made, float(number), Delivery(f"guid-{number}", "workflow_run", "00", {}))[0].id
    store.queue.claim(float(number))
    if status is Status.SUCCESS:
        store.releases.save(id, release(app=app, variables={"N": str(number)}), 0.0)
    store.read_tokens.issue(id, float(number))
    store.github_ids.remember_forge_id(id, number)
    store.queue.finish(id, status, "", float(number))
    return id


def count(store: SqliteStore, table: str) -> int:
    return int(store._database.read(f"SELECT count(*) FROM {table}")[0][0])


def test_what_serves_and_served_before_and_the_newest_of_each_workflow_stay(store: SqliteStore) -> None:
    other = deployed(store, 900, workflow="nightly.yml")
    before = deployed(store, 1, Status.SUCCESS)
    serves = deployed(store, 2, Status.SUCCESS)
    failed = [deployed(store, number) for number in range(3, 30)]
    waiting = store.queue.enqueue(job(40), 40.0)[0].id
    assert store.forget_old(50.0) == len(failed) - 4
    kept = {item.id for item in store.deployments.history("shop", "production", 100)}
    assert kept == {other, before, serves, *failed[-4:], waiting}
    serving = store.deployments.serving("shop", "production")
    assert serving and serving.id == serves
    earlier = store.deployments.before("shop", "production", serving.release)
    assert earlier and earlier.id == before
    assert store.releases.get(earlier.release).variables == {"N": "1"}
    assert store.queue.enqueue(job(800, workflow="nightly.yml"), 60.0)[1] == "stale"
    assert store.forget_old(61.0) == 0


def test_nothing_of_a_forgotten_deployment_is_left_and_no_other_app_loses_any(store: SqliteStore) -> None:
    for number in range(1, 21):
        deployed(store, number, Status.SUCCESS)
    others = [deployed(store, number, app="blog") for number in range(1, 5)]
    assert store.forget_old(30.0) == 15
    for table in _OF_A_DEPLOYMENT:
        rows = count(store, table)
        assert rows == (0 if table == "confirmation" else rows)
        orphans = f"SELECT count(*) FROM {table} WHERE deployment_id NOT IN (SELECT id FROM deployment)"
        assert store._database.read(orphans)[0][0] == 0
    assert count(store, "forge") == 9
    assert count(store, "delivery") == 24, "the note of what arrived has a limit of its own"
    assert count(store, "release") == 5
    assert [item.id for item in store.deployments.history("blog", "production")] == others[::-1]
    assert store.deployments.history("shop", "production")[0].run == Run(20, 1)


def test_every_table_that_belongs_to_a_deployment_is_known(store: SqliteStore) -> None:
    tables = [row[0] for row in store._database.read("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    referring = {
        table
        for table in tables
        for key in store._database.read(f"PRAGMA foreign_key_list({table})")
        if key["table"] == "deployment"
    }
    assert referring == set(_OF_A_DEPLOYMENT)


def test_deliveries_proofs_and_read_tokens_end_by_number_and_age(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "KEEP_DELIVERIES", 10)
    for number in range(25):
        store.deliveries.record_ignored(Delivery(f"guid-{number}", "push", "00", {}), "not mine", 1.0)
    id = store.queue.enqueue(job(1), 1.0)[0].id
    old, new = store.read_tokens.issue(id, 1.0), store.read_tokens.issue(id, KEEP_READ_TOKENS)
    store.forget_old(KEEP_READ_TOKENS + 2.0)
    assert count(store, "delivery") == 10
    assert store._database.read("SELECT guid FROM delivery ORDER BY seq DESC")[0][0] == "guid-24"
    assert (store.read_tokens.may_read(id, old), store.read_tokens.may_read(id, new)) == (False, True)


def test_rows_that_somebody_without_the_key_wrote_prune_nothing(store: SqliteStore) -> None:
    """As a web process that was taken over could write them: images of others, successes that push out what
    served.
    """
    mine = deployed(store, 1, Status.SUCCESS)
    image = Image("ghcr.io/acme/shop", "sha256:" + "a" * 64)
    store.images.note_pull(image)
    with store._database.write() as sql:
        sql.execute("INSERT INTO pulled VALUES ('docker.io/library/postgres', 'sha256:bb', ?)", ("0" * 64,))
        sql.execute(
            "INSERT INTO pulled SELECT 'docker.io/library/mysql', 'sha256:cc', mark FROM pulled LIMIT 1"
        )
        for number in range(2, 9):
            forged = store_copy(sql, mine, f"forged-{number}")
            sql.execute("UPDATE deployment SET release = ? WHERE id = ?", (f"fake{number}", forged))
    assert store.images.pulled() == [image]
    seen: list[str] = []

    def choose(history: Sequence[Deployment]) -> set[str]:
        seen.extend(one.id for one in history)
        return {one.release for one in history}

    assert store.releases.keep("shop", choose) == 0 and seen == [mine]


def store_copy(sql: sqlite3.Connection, id: str, new: str) -> str:
    """A deployment's row once more, with its mark, under another id."""
    columns = [row["name"] for row in sql.execute("PRAGMA table_info(deployment)") if row["name"] != "seq"]
    values = ", ".join("?" if name == "id" else name for name in columns)
    sql.execute(
        f"INSERT INTO deployment ({', '.join(columns)}) SELECT {values} FROM deployment WHERE id = ?",
        (new, id),
    )
    return new


def test_a_release_that_is_saved_while_others_are_pruned_stays(store: SqliteStore) -> None:
    """Two workers: one tidies up after a deployment, the other has begun the next one of the same app."""
    deployed(store, 1, Status.SUCCESS)
    id = store.queue.enqueue(job(2), 2.0)[0].id
    store.queue.claim(2.0)
    asked, saved = threading.Event(), threading.Event()

    def save() -> None:
        asked.wait(60)
        store.releases.save(id, release(variables={"N": "2"}), 2.0)
        saved.set()

    other = threading.Thread(target=save)
    other.start()

    def choose(history: Sequence[Deployment]) -> set[str]:
        asked.set()
        saved.wait(0.5)  # the other cannot: it has its turn afterwards
        return {one.release for one in history}

    store.releases.keep("shop", choose)
    other.join(60)
    assert store.releases.get(store.deployments.get(id).release).variables == {"N": "2"}


@pytest.mark.case("X12")
def test_plans_of_doors_that_were_killed_go_and_take_no_place(store: SqliteStore) -> None:
    """Each holds a bundle of megabytes; an answered one that is never fetched would stay for ever."""
    for number in range(MOST_PLANS):
        id = store.tasks.hand_over(TaskKind.PLAN, [job(1)], 100.0, Proof(f"jti-{number}", 1_000.0))
    store.tasks.answer(id, {"plan": ""})
    with pytest.raises(StoreUnavailable, match="wait for the worker"):
        store.tasks.hand_over(TaskKind.PLAN, [job(1)], 101.0, Proof("one-more", 1_000.0))
    hint = store.tasks.hand_over(TaskKind.HINT, [job(1)], 101.0, Delivery("guid", "package", "00", {}))
    store.forget_old(701.0)
    assert count(store, "errand") == 1 and store.tasks.answer_of(hint) is None
    store.tasks.hand_over(TaskKind.PLAN, [job(1)], 701.0, Proof("another", 1_000.0))
