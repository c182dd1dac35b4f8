"""What the store withstands: readers of its files, replays, threads, a full disk, damage, kill -9."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from deployer.adapters.sqlite import database
from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import ConfigError, Forbidden, StoreUnavailable, TokenRejected
from deployer.core.images import Image
from deployer.core.model import Run, Status
from deployer.core.ports.arrivals import Proof
from deployer.core.release.proven_images import ProvenRun
from deployer.core.webhooks.delivery import Delivery
from testing.receiver.jobs import LOGIN, job, release
from testing.receiver.receiver_inputs import BUNDLE, open_store


@pytest.mark.case("D06")
def test_no_secret_stands_readable_in_any_file_of_the_database(store: SqliteStore, tmp_path: Path) -> None:
    bundle = replace(BUNDLE, files={"compose.yaml": "# canary-bundle"})
    id = store.queue.enqueue(job(credentials=LOGIN, bundle=bundle), 1.0)[0].id
    store.releases.save(id, release(bundle=bundle), 0.0)
    secret = store.tokens.create(name="anna", app="shop", can=frozenset(), expires_at=None, now=1.0)
    reader = store.read_tokens.issue(id, 1.0)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("deployer.db*"))
    assert b"octocat" in stored and id.encode() in stored
    for canary in ("canary-registry-password", "canary-variable", "canary-bundle", secret, reader):
        assert canary.encode() not in stored


def test_all_files_are_for_their_owner_only(store: SqliteStore, tmp_path: Path) -> None:
    store.queue.enqueue(job(), 1.0)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["deployer.db", "deployer.db-shm", "deployer.db-wal", "key"], 0o600)


def test_in_a_folder_that_a_group_shares_the_files_are_for_the_group(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o2770)
    shared = SqliteStore(folder / "deployer.db", open_secret_store(tmp_path / "key"))
    shared.queue.enqueue(job(), 1.0)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    shared.close()
    assert modes == dict.fromkeys(["deployer.db", "deployer.db-shm", "deployer.db-wal"], 0o660)


def test_without_the_key_a_store_takes_wishes_and_opens_nothing(store: SqliteStore, tmp_path: Path) -> None:
    kept = store.releases.save(store.queue.enqueue(job(1), 1.0)[0].id, release(), 1.0)
    endpoint = SqliteStore(tmp_path / "deployer.db", open_secret_store(tmp_path / "key").sealing_key)
    id = endpoint.queue.enqueue(job(2, credentials=LOGIN), 2.0)[0].id
    assert endpoint.releases.revision_of("shop", kept.id) == kept.revision
    for act in (
        lambda: endpoint.releases.get(kept.id),
        lambda: endpoint.queue.claim(3.0),
        lambda: endpoint.releases.save(id, kept, 3.0),
    ):
        with pytest.raises(StoreUnavailable, match="no key"):
            act()
    claimed = store.queue.claim(4.0)
    assert claimed and claimed[0].id == id and claimed[1].credentials == LOGIN
    endpoint.close()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"images": 1}', '{"images": null, "bundle": 5, "confirm": 0}']
)
def test_a_forged_wish_ends_as_an_error_and_does_not_block_the_queue(
    store: SqliteStore, tmp_path: Path, text: str
) -> None:
    forged, good = store.queue.enqueue(job(1, app="admin"), 1.0)[0].id, store.queue.enqueue(job(1), 2.0)[0].id
    sealed = open_secret_store(tmp_path / "key").sealing_key.seal(f"wish of {forged}", text)
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("UPDATE deployment SET sealed_wish = ? WHERE id = ?", (sealed, forged))
    claimed = store.queue.claim(3.0)
    assert claimed and claimed[0].id == good
    assert store.deployments.get(forged).status is Status.ERROR


def test_a_forged_trigger_ends_as_an_error_and_hides_no_other_row(store: SqliteStore, tmp_path: Path) -> None:
    forged, good = (
        store.queue.enqueue(job(1, app="admin"), 1.0)[0].id,
        store.queue.enqueue(job(1), 2.0)[0].id,
    )
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("UPDATE deployment SET trigger = 'spell' WHERE id = ?", (forged,))
    claimed = store.queue.claim(3.0)
    assert claimed and claimed[0].id == good
    [ended] = store.deployments.history("admin", "production")
    assert (ended.status, ended.trigger) == (Status.ERROR, "spell")


def test_a_key_that_does_not_fit_the_database_stops_the_start(store: SqliteStore, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigError, match="key file"):
        open_store(tmp_path)


def test_one_damaged_row_ends_as_an_error_and_does_not_block_the_queue(
    store: SqliteStore, tmp_path: Path
) -> None:
    damaged, _ = store.queue.enqueue(job(1, app="admin"), 1.0)
    good, _ = store.queue.enqueue(job(1), 2.0)
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        [sealed] = other.execute("SELECT sealed_wish FROM deployment WHERE id = ?", (good.id,)).fetchone()
        other.execute("UPDATE deployment SET sealed_wish = ? WHERE id = ?", (sealed, damaged.id))
    claimed = store.queue.claim(3.0)
    assert claimed and claimed[0].id == good.id
    assert store.deployments.get(damaged.id).status is Status.ERROR
    assert "[seal-broken]" in store.deployments.get(damaged.id).reason


def test_a_proof_is_taken_once_until_it_has_expired(store: SqliteStore) -> None:
    store.queue.enqueue(job(1), 1.0, Proof("jti-1", 100.0))
    for number in (1, 2):
        with pytest.raises(TokenRejected, match="before"):
            store.queue.enqueue(job(number), 2.0, Proof("jti-1", 100.0))
    assert len(store.deployments.history("shop", "production")) == 1
    assert store.queue.enqueue(job(2), 101.0, Proof("jti-1", 200.0))[1] == "queued"


def test_a_request_that_is_refused_spends_no_proof(store: SqliteStore) -> None:
    store.queue.enqueue(job(), 1.0)
    other = {"web": Image("ghcr.io/acme/shop-web", "sha256:" + "c" * 64)}
    with pytest.raises(Forbidden):
        store.queue.enqueue(job(images=other), 2.0, Proof("jti-1", 100.0))
    assert store.queue.enqueue(job(2), 3.0, Proof("jti-1", 100.0))[1] == "queued"


def test_every_delivery_is_kept_with_what_became_of_it(store: SqliteStore, tmp_path: Path) -> None:
    delivery = Delivery("guid-1", "workflow_run", "00ff", {})
    queued, _ = store.queue.enqueue(job(), 1.0, delivery)
    store.queue.enqueue(job(), 2.0, delivery)
    store.deliveries.record_ignored(Delivery("guid-2", "ping", "11ee", {}), "pong", 3.0)
    rows = sqlite3.connect(tmp_path / "deployer.db").execute(
        "SELECT guid, event, body_sha256, received_at, outcome, reason, deployment_id"
        " FROM delivery ORDER BY seq"
    )
    assert rows.fetchall() == [
        ("guid-1", "workflow_run", "00ff", 1.0, "queued", "", queued.id),
        ("guid-1", "workflow_run", "00ff", 2.0, "duplicate", "", queued.id),
        ("guid-2", "ping", "11ee", 3.0, "ignored", "pong", None),
    ]


def test_every_commit_is_synced_to_the_disk(store: SqliteStore) -> None:
    with store._database.write() as sql:
        assert sql.execute("PRAGMA synchronous").fetchone()[0] == 2, "2 is FULL"
        assert sql.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.case("B01")
def test_fifty_senders_of_one_run_get_one_deployment(store: SqliteStore) -> None:
    begin = threading.Barrier(50)
    outcomes: list[tuple[str, str]] = []

    def send() -> None:
        begin.wait()
        deployment, outcome = store.queue.enqueue(job(), 1.0)
        outcomes.append((deployment.id, outcome))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for id, _ in outcomes}) == 1
    assert sorted(outcome for _, outcome in outcomes) == ["duplicate"] * 49 + ["queued"]


def test_two_claimers_never_get_the_same_or_two_of_one_environment(store: SqliteStore) -> None:
    for number in range(20):
        store.queue.enqueue(job(1, app=f"app-{number}"), 1.0)
    begin = threading.Barrier(4)
    claimed: list[str] = []

    def claim() -> None:
        begin.wait()
        while got := store.queue.claim(2.0):
            claimed.append(got[0].app)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"app-{number}" for number in range(20))


def limit_pages(store: SqliteStore) -> None:
    """What a full disk does, to this connection."""
    with store._database.write() as sql:
        pages = sql.execute("PRAGMA page_count").fetchone()[0]
        sql.execute(f"PRAGMA max_page_count={pages}")


@pytest.mark.case("F03")
def test_on_a_full_disk_nothing_is_accepted_reads_go_on_and_it_recovers(store: SqliteStore) -> None:
    id = store.queue.enqueue(job(1), 1.0)[0].id
    limit_pages(store)
    big = replace(BUNDLE, files={"compose.yaml": "#" * 200_000})
    with pytest.raises(StoreUnavailable, match="full"):
        store.queue.enqueue(job(2, bundle=big), 2.0)
    assert [item.id for item in store.deployments.history("shop", "production")] == [id]
    assert store.deployments.get(id).status is Status.QUEUED
    with store._database.write() as sql:
        sql.execute("PRAGMA max_page_count=1000000")
    assert store.queue.enqueue(job(2, bundle=big), 3.0)[1] == "queued"


def test_a_database_that_may_not_be_written_is_out_of_reach(store: SqliteStore) -> None:
    store._database._writer.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.queue.enqueue(job(), 1.0)
    assert not store.ready(), "what arrives could not be stored"
    store._database._writer.execute("PRAGMA query_only=OFF")
    assert store.ready() and store.ready()


def test_a_database_that_another_process_holds_is_out_of_reach_and_then_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY", 0.1)
    store = open_store(tmp_path)
    other = sqlite3.connect(tmp_path / "deployer.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process"):
        store.queue.enqueue(job(), 1.0)
    other.execute("ROLLBACK")
    assert store.queue.enqueue(job(), 2.0)[1] == "queued"


def test_a_thread_that_cannot_have_the_writer_in_time_gives_up(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY", 0.1)
    with store._database._lock, pytest.raises(StoreUnavailable, match="busy"):
        store.queue.enqueue(job(), 1.0)


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says" * 100])
def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "deployer.db").write_bytes(content)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_store(tmp_path)


@pytest.mark.case("F03")
def test_a_corrupt_database_stops_the_start(store: SqliteStore, tmp_path: Path) -> None:
    id = store.queue.enqueue(job(), 1.0)[0].id
    for number in range(200):
        store.events.append(id, "pull", f"{number} " + "x" * 500, 2.0)
    store.close()
    path = tmp_path / "deployer.db"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\x5a" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="corrupt"):
        open_store(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        database.Database(tmp_path / "file" / "deployer.db", "", 1)


def test_a_database_of_a_newer_deployer_is_left_alone(store: SqliteStore, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("PRAGMA user_version=99")
    with pytest.raises(StoreUnavailable, match="newer"):
        open_store(tmp_path)


def test_a_database_of_the_first_version_is_brought_forward(store: SqliteStore, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("DROP TABLE startup")
        other.execute("DROP TABLE proven")
        other.execute("PRAGMA user_version=1")
    for _ in range(2):
        opened = open_store(tmp_path)
        opened.startup_durations.note("shop", "production", {"backend": 1.5})
        opened.startup_durations.note("shop", "production", {"frontend": 0.5})
        assert opened.startup_durations.read("shop", "production") == {"backend": 1.5, "frontend": 0.5}
        assert not opened.startup_durations.read("shop", "staging")
        opened.close()


def test_a_database_of_the_second_version_gets_the_record_of_proven_images(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "deployer.db") as other:
        other.execute("DROP TABLE proven")
        other.execute("PRAGMA user_version=2")
    for times in (1, 2):
        opened = open_store(tmp_path)
        run = ProvenRun("shop", "production", "a" * 40, "", {"web": Image("acme/web", "sha256:1")}, {})
        opened.images.note_proven(run)
        assert opened.images.proven("shop", "production") == [run] * times
        opened.close()


def test_a_bug_in_sql_is_no_outage_and_undoes_its_transaction(store: SqliteStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), store._database.write() as sql:
        sql.execute("DELETE FROM seal")
        sql.execute("SELECT * FROM absent")
    assert store._database.read("SELECT count(*) FROM seal")[0][0] == 1


def test_ready_says_whether_the_database_answers(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.ready()

    def unavailable(*_args: object) -> list[sqlite3.Row]:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store._database, "read", unavailable)
    assert not store.ready()


_SENDER = """
import sys
from pathlib import Path
from testing.receiver.jobs import job
from testing.receiver.receiver_inputs import open_store
store = open_store(Path(sys.argv[1]))
for number in range(1, 100_000):
    print(store.queue.enqueue(job(number), float(number))[0].id, flush=True)
"""


@pytest.mark.case("F07")
def test_what_was_acknowledged_is_there_after_kill_nine(tmp_path: Path) -> None:
    for _ in range(3):
        sender = subprocess.Popen(
            [sys.executable, "-c", _SENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert sender.stdout
        acknowledged = [sender.stdout.readline().strip() for _ in range(20)]
        sender.send_signal(signal.SIGKILL)
        acknowledged += sender.stdout.read().split("\n")[:-1]
        sender.wait()
        store = open_store(tmp_path)
        assert [store.deployments.get(id).id for id in acknowledged] == acknowledged
        assert store._database.read("PRAGMA integrity_check")[0][0] == "ok"
        with store._database.write() as sql:  # the next sender begins anew
            sql.execute("DELETE FROM event")
            sql.execute("DELETE FROM deployment")
        store.close()


class Queue(RuleBasedStateMachine):
    """Runs that arrive in any order, again, across restarts: the newest wins, and no older one starts after
    it.
    """

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name))
        self.newest = Run()
        self.running = ""

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(number=st.integers(1, 6), attempt=st.integers(1, 2))
    def arrive(self, number: int, attempt: int) -> None:
        run = Run(number, attempt)
        _, outcome = self.store.queue.enqueue(job(number, attempt), 1.0)
        assert (outcome == "stale") == (run < self.newest)
        self.newest = max(run, self.newest)

    @rule()
    def claim(self) -> None:
        claimed = self.store.queue.claim(2.0)
        if claimed:
            assert not self.running
            assert claimed[0].run == self.newest
            self.running = claimed[0].id

    @rule(status=st.sampled_from([Status.SUCCESS, Status.FAILURE, Status.ERROR]))
    def finish(self, status: Status) -> None:
        if self.running:
            self.store.queue.finish(self.running, status, "", 3.0)
            self.running = ""

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_store(Path(self.folder.name))
        left = self.store.queue.requeue_interrupted(4.0)
        assert [item.id for item in left] == ([self.running] if self.running else [])
        self.running = ""

    @invariant()
    def one_of_each(self) -> None:
        if hasattr(self, "store"):
            states = [item.status for item in self.store.deployments.history("shop", "production", 1000)]
            assert states.count(Status.QUEUED) <= 1
            assert states.count(Status.IN_PROGRESS) <= 1


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
