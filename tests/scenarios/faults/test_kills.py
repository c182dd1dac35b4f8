"""kill -9 of a receiver under load, again and again: nothing that was acknowledged is lost.

Real: the door, SQLite on a real disk, the queue, the worker and the way of a deploy, in a process that
SIGKILL ends and that starts again on what it left. Stood in for: GitHub, the registry and the engine, so that
hundreds of kills hit thousands of deploys; `test_recovery.py` kills deploys on the real engine.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from testing.docker.docker_cli import wait_for
from testing.receiver.in_memory_server import digest_of
from testing.receiver.receiver_inputs import body_of, headers_of, open_store, run_payload, sign
from testing.receiver.receiver_process import SECRET, Server, repository_id
from testing.receiver.two_processes import WEB, WORKER, Pair
from tests.scenarios.faults.test_crash_recovery import seed

APPS = 5
TAKES = 0.02  # seconds of each of a deploy's two pulls
REST = 0.004
ACKNOWLEDGED = 25  # at least, between two kills


def revision(app: int, run: int) -> str:
    return f"{app:08x}{run:032x}"


class Sender(threading.Thread):
    """GitHub for one app: run after run, now and then an old one again; where no answer came, half of the
    time the same delivery once more.
    """

    def __init__(self, server: Server, app: int, draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[int, str] = {}  # run → deployment
        self.checked: set[str] = set()  # of these, found on the disk after a kill
        self.answers: Counter[str] = Counter()
        self.over = threading.Event()
        self._server, self._app, self._draw = server, app, draw

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            while not self._deliver(number) and self._draw.random() < 0.5 and not self.over.is_set():
                time.sleep(0.02)
            if self._draw.random() < 0.1:
                self._deliver(self._draw.randint(1, number))
            time.sleep(REST)

    def _deliver(self, number: int) -> bool:
        try:
            status, answer = deliver(self._server, self._app, number)
        except (OSError, http.client.HTTPException):
            self.answers["none"] += 1
            return False
        assert status in (200, 202, 503), answer
        self.answers[str(answer.get("outcome", status))] += 1
        if status == 202:
            self.acknowledged[number] = answer["id"]
        return status != 503


def deliver(server: Server, app: int, number: int, guid: str = "") -> tuple[int, dict[str, Any]]:
    """One `workflow_run`, on a connection of its own."""
    payload = run_payload(
        repository_id=repository_id(app),
        run_number=number,
        head_sha=revision(app, number),
        head_repository={"id": repository_id(app)},
    )
    raw = body_of(payload)
    headers = headers_of("workflow_run", guid=guid or f"{app:08x}-0000-4000-8000-{number:012x}")
    headers["X-Hub-Signature-256"] = sign(raw, SECRET.encode())
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("POST", "/webhook", raw, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.case("F07")
def test_nothing_acknowledged_is_lost_and_the_newest_of_every_app_is_deployed(kills: int) -> None:
    with Server(APPS, deploys=TAKES) as server:

        def kill(look: Callable[[], None], _: random.Random) -> None:
            server.end()
            look()
            server.start()

        kill_while_deliveries_come(server, kills, kill)


@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.case("F07")
def test_either_of_two_processes_may_be_killed_at_any_moment(kills: int) -> None:
    """`deployer web` and `deployer worker`, one of them or both at once, while deliveries come."""
    killed = Counter[str]()
    with Pair(APPS, deploys=TAKES) as server:

        def kill(look: Callable[[], None], draw: random.Random) -> None:
            halves = draw.choice(((WEB,), (WORKER,), (WEB, WORKER)))
            for half in halves:
                server.kill(half)
            look()
            killed[" and ".join(halves)] += 1
            server.wake(*halves[::-1])

        acks = kill_while_deliveries_come(server, kills, kill)
        print(f"killed: {dict(killed)}")
        store = open_store(server.state)
        last, wrong = store.audit.verify()
        store.close()
        assert not wrong and last.n >= acks


def kill_while_deliveries_come(
    server: Server, kills: int, kill: Callable[[Callable[[], None], random.Random], None]
) -> int:
    """What was acknowledged as queued, all of it stored, and the newest of every app deployed. `kill` calls
    its first argument while the killed process is away.
    """
    draw = random.Random(seed())
    senders = [Sender(server, app, random.Random(draw.random())) for app in range(APPS)]

    def look() -> None:
        for sender in senders:
            expect_stored(server, sender)

    for sender in senders:
        sender.start()
    for _ in range(kills):
        wait_for("enough to lose", partial(_came, senders, acknowledged(senders) + ACKNOWLEDGED))
        time.sleep(draw.uniform(0.0, 0.3))  # the moment is the point of the test
        kill(look, draw)
    for sender in senders:
        sender.over.set()
        sender.join(20)
    wait_for("an empty queue", lambda: not unfinished(server), 60)
    print(f"{kills} kills, {acknowledged(senders)} acknowledged as queued, 0 lost")
    print("answers:", dict(sum((sender.answers for sender in senders), Counter())))
    print("ends:", dict(ends(server)))
    for app, sender in enumerate(senders):
        expect_newest(server, app, sender)
    assert server.value("PRAGMA integrity_check") == "ok"
    assert acknowledged(senders) >= ACKNOWLEDGED * kills
    return acknowledged(senders)


def acknowledged(senders: list[Sender]) -> int:
    return sum(len(sender.acknowledged) for sender in senders)


def _came(senders: list[Sender], count: int) -> bool:
    return acknowledged(senders) >= count


def unfinished(server: Server) -> int:
    return int(server.value("SELECT count(*) FROM deployment WHERE status IN ('queued', 'in_progress')"))


def ends(server: Server) -> Counter[str]:
    with server.database() as database:
        return Counter(dict(database.execute("SELECT status, count(*) FROM deployment GROUP BY status")))


def expect_stored(server: Server, sender: Sender) -> None:
    """What was acknowledged since the last look is on the disk; later the oldest may be forgotten."""
    fresh = set(list(sender.acknowledged.values())) - sender.checked
    with server.database() as database:
        found = {
            id for id in fresh if database.execute("SELECT 1 FROM deployment WHERE id = ?", (id,)).fetchone()
        }
    assert found == fresh, "lost"
    sender.checked |= found


def expect_newest(server: Server, app: int, sender: Sender) -> None:
    """The newest one on record serves, and it is no older than what was acknowledged."""
    expect_stored(server, sender)
    with server.database() as database:
        rows = database.execute(
            "SELECT run_number, status, reason FROM deployment WHERE app = ? ORDER BY run_number, seq",
            (server.name(app),),
        ).fetchall()
    newest, status, _ = rows[-1]
    assert newest >= max(sender.acknowledged)
    assert status == "success", rows[-3:]
    assert server.served(app) == digest_of(revision(app, newest))


@pytest.mark.case("B01")
def test_a_storm_of_one_delivery_is_one_deploy() -> None:
    """One GUID, 500 times over 32 connections."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    left = iter(range(500))

    def storm(server: Server) -> None:
        while next(left, None) is not None:
            status, answer = deliver(server, 0, 7, guid="the-same-one")
            with lock:
                outcomes[f"{status} {answer['outcome']}"] += 1

    with Server(1, deploys=0.01) as server:
        together([threading.Thread(target=storm, args=(server,)) for _ in range(32)])
        wait_for("an empty queue", lambda: not unfinished(server))
        assert outcomes == {"202 queued": 1, "200 duplicate": 499}
        assert dict(ends(server)) == {"success": 1}
        assert server.value("SELECT count(*) FROM delivery") == 500


@pytest.mark.case("B10", "B11")
def test_a_hundred_events_during_one_deploy_are_one_more_deploy_of_the_newest() -> None:
    with Server(1, deploys=0.01) as server:
        server.keep_busy()
        assert deliver(server, 0, 1)[0] == 202
        wait_for("the first deploy", lambda: ends(server)["in_progress"])
        for number in range(2, 102):
            assert deliver(server, 0, number)[0] == 202
        assert ends(server)["in_progress"] == 1, "all came during the first deploy"
        server.let_go()
        wait_for("an empty queue", lambda: not unfinished(server))
        begun = {digest for _, kind, _, digest in server.story() if kind == "begin"}
        assert begun == {digest_of(revision(0, 1)), digest_of(revision(0, 101))}
        assert dict(ends(server)) == {"success": 2, "inactive": 99}
        assert server.served(0) == digest_of(revision(0, 101))


def test_one_at_a_time_in_an_app_and_several_apps_at_once() -> None:
    """Ten apps with twenty events each: no pulls of two releases of one app overlap, some of two apps do."""
    with Server(10, deploys=0.02, workers=4) as server:

        def events(app: int) -> None:
            for number in range(1, 21):
                assert deliver(server, app, number)[0] == 202

        together([threading.Thread(target=events, args=(app,)) for app in range(10)])
        wait_for("an empty queue", lambda: not unfinished(server))
        most, running = 0, Counter[tuple[str, str]]()
        for _, kind, app, digest in sorted(server.story()):
            running[app, digest] += 1 if kind == "begin" else -1
            pulled = Counter(app for (app, _), count in running.items() if count)
            assert set(pulled.values()) <= {1}, f"two at once in {app}"
            most = max(most, len(pulled))
        assert most >= 2
        newest = {server.name(app): digest_of(revision(app, 20)) for app in range(10)}
        assert {server.name(app): server.served(app) for app in range(10)} == newest, failed(server)


def failed(server: Server) -> list[Any]:
    """What did not go well, to read when a test fails."""
    with server.database() as database:
        wrong = "status IN ('failure', 'error')"
        return list(database.execute(f"SELECT app, run_number, status, reason FROM deployment WHERE {wrong}"))


def together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
