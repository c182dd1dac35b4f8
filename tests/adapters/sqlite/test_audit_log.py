"""The audit log in a real database: what is written with what, what cannot be changed, and what is
seen when it is changed all the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.audit.chain import Action, AuditEvent
from deployer.core.audit.events import refusal
from deployer.core.auth.api_tokens import Right
from deployer.core.errors import StoreUnavailable
from deployer.core.model import Status
from testing.receiver.jobs import job, release
from testing.receiver.receiver_inputs import open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def entries(store: SqliteStore) -> list[dict[str, Any]]:
    return [json.loads(entry.text) for entry in store.audit.entries()]


def deployed(store: SqliteStore) -> str:
    deployment, _ = store.queue.enqueue(job(), 1.0)
    store.queue.claim(2.0)
    store.releases.save(deployment.id, release(), 3.0)
    store.queue.finish(deployment.id, Status.SUCCESS, "", 4.0)
    return deployment.id


def test_a_deployment_leaves_who_what_and_how_it_ended(store: SqliteStore) -> None:
    id = deployed(store)
    store.tokens.create(name="ada", app="shop", can=frozenset({Right.READ}), expires_at=None, now=5.0)
    store.tokens.revoke("ada", 6.0)
    told = [(entry["action"], entry["verdict"] or entry["facts"].get("token")) for entry in entries(store)]
    assert [one[0] for one in told] == ["accept", "release", "end", "grant", "revoke"]
    assert (told[0][1], told[2][1], told[3][1]) == ("queued", "success", "ada")
    assert all(entry["facts"]["deployment"] == id for entry in entries(store)[:3])
    images = [value for name, value in entries(store)[1]["facts"].items() if name.startswith("image ")]
    assert images and all("@sha256:" in image for image in images)
    assert store.audit.verify()[1] == ""


def test_what_is_rolled_back_leaves_no_entry(store: SqliteStore) -> None:
    with pytest.raises(Exception, match="no deployment"):
        store.queue.finish("nobody", Status.SUCCESS, "", 1.0)
    assert store.audit.entries() == []


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit SET text = 'x'", "DELETE FROM audit", "INSERT OR REPLACE INTO audit VALUES (1, '', '')"],
)
def test_sql_alone_cannot_change_an_entry(store: SqliteStore, tmp_path: Path, change: str) -> None:
    deployed(store)
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        if change.startswith("INSERT"):
            other.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(change)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("UPDATE audit SET text = replace(text, 'queued', 'stale') WHERE n = 1", "entry 1 was changed"),
        ("UPDATE audit SET hash = substr(hash, 2) || '0' WHERE n = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE n = 1", "entry 1 is missing"),
        ("DELETE FROM audit WHERE n = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE n = 3", "entries after 2 were cut off: there were 3"),
        ("DELETE FROM audit", "entries after 0 were cut off: there were 3"),
        ("UPDATE audit SET n = 9 WHERE n = 3", "entry 3 is missing"),
        ("INSERT INTO audit SELECT 4, text, hash FROM audit WHERE n = 3", "entry 4 was changed"),
    ],
)
def test_whoever_drops_the_triggers_is_seen(
    store: SqliteStore, tmp_path: Path, change: str, wrong: str
) -> None:
    deployed(store)
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        for trigger in ("audit_stays", "audit_keeps"):
            other.execute(f"DROP TRIGGER {trigger}")
        other.execute(change)
    assert wrong in store.audit.verify()[1]


def forged(address: str = "203.0.113.9", place: str = "POST /webhook") -> AuditEvent:
    return refusal(address, "signature-mismatch", "the signature fits none", place)


def counts(store: SqliteStore) -> list[str]:
    return [entry["facts"].get("count", "1") for entry in entries(store)]


@pytest.mark.case("X12")
def test_a_flood_of_refusals_becomes_a_few_entries_with_its_count(store: SqliteStore) -> None:
    for n in range(2_345):
        store.audit.record_refusal(forged(), 100.0 + n)
    assert counts(store) == ["1", "10", "100", "1000"]
    store.forget_old(100.0 + 86_399)
    assert len(store.audit.entries()) == 4, "the day is not over"
    store.forget_old(100.0 + 86_400)
    last = entries(store)[-1]["facts"]
    assert (last["count"], last["first"], last["last"]) == ("2345", "100", "2444")
    store.audit.record_refusal(forged(), 90_000.0)
    assert counts(store)[-1] == "1" and store.audit.verify()[1] == ""


@pytest.mark.case("X12")
def test_a_year_of_refusals_has_a_bound(store: SqliteStore) -> None:
    """A scanner from two addresses, ten times a day: the log grows with the days, not with the requests."""
    for day in range(365):
        for n in range(10):
            for address in ("203.0.113.9", "198.51.100.4"):
                store.audit.record_refusal(forged(address), day * 86_400.0 + n)
    store.audit.end_refusals()
    assert len(store.audit.entries(limit=10_000)) == 365 * 2 * 2
    assert store.audit.verify()[1] == ""


@pytest.mark.case("X12")
def test_the_numbers_are_recorded_before_the_process_ends(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    for n in range(7):
        first.audit.record_refusal(forged(), 100.0 + n)
    assert counts(first) == ["1"]
    first.close()
    second = open_store(tmp_path)
    assert counts(second) == ["1", "7"] and second.audit.verify()[1] == ""
    second.close()


@pytest.mark.case("X12")
def test_a_process_without_the_key_folds_as_well(store: SqliteStore, tmp_path: Path) -> None:
    front = SqliteStore(tmp_path / "deployer.db", open_secret_store(tmp_path / "key").sealing_key)
    for n in range(50):
        front.audit.record_refusal(forged(), 100.0 + n)
    front.audit.record_refusal(forged("192.0.2.1"), 151.0)
    front.close()
    store._ledger.absorb(store._database)
    assert counts(store) == ["1", "10", "1", "50"] and store.audit.verify()[1] == ""


def test_ten_thousand_entries_are_verified_page_by_page(store: SqliteStore) -> None:
    event = refusal("203.0.113.9", "forbidden", "no", "POST /x")
    with store._database.write() as sql:
        for n in range(10_000):
            store._ledger.record(sql, float(n), event)
    last, wrong = store.audit.verify()
    assert (last.n, wrong, len(store.audit.entries())) == (10_000, "", 1_000)


# --- a process without the key


def test_what_a_process_without_the_key_records_is_linked_by_one_that_has_it(
    store: SqliteStore, tmp_path: Path
) -> None:
    front = SqliteStore(tmp_path / "deployer.db", open_secret_store(tmp_path / "key").sealing_key)
    store.queue.enqueue(job(1), 1.0)
    id = front.queue.enqueue(job(2), 2.0)[0].id
    refused = AuditEvent(Action.REFUSE, "mallory", "192.0.2.7", verdict="signature-mismatch")
    front.audit.record_refusal(refused, 3.0)
    with pytest.raises(StoreUnavailable, match="no key to the audit log"):
        front.audit.verify()
    store.queue.finish(id, Status.SUCCESS, "", 4.0)  # the older entries come first, as they happened
    happened = [(entry["action"], entry["at"]) for entry in entries(store)]
    assert happened == [("accept", 1.0), ("end", 2.0), ("accept", 2.0), ("refuse", 3.0), ("end", 4.0)]
    assert store.audit.verify()[1] == ""
    front.close()


def test_it_is_linked_soon_also_where_nothing_happens(store: SqliteStore, tmp_path: Path) -> None:
    front = SqliteStore(tmp_path / "deployer.db", open_secret_store(tmp_path / "key").sealing_key)
    front.audit.record_refusal(AuditEvent(Action.REFUSE, "mallory", "192.0.2.7"), 3.0)
    front.close()
    assert not store.audit.entries()
    assert store.queue.claim(4.0) is None  # as every worker asks, five times a second
    assert [json.loads(entry.text)["who"] for entry in store.audit.entries()] == ["mallory"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"action": "erase", "who": "x", "origin": "y", "facts": {}}']
)
def test_what_cannot_be_read_beside_the_chain_is_recorded_as_that(
    store: SqliteStore, tmp_path: Path, text: str
) -> None:
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("INSERT INTO audit_pending (at, act) VALUES (1.0, ?)", (text,))
    store.queue.enqueue(job(1), 2.0)
    assert "cannot be read" in store.audit.entries()[0].text
    assert store.audit.verify()[1] == "" and len(store.audit.entries()) == 2
