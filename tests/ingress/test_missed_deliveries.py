"""What GitHub could not deliver is taken after all: once, in order, and only what this server missed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from deployer.adapters.github.webhook_deliveries import GitHubWebhookDeliveries
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.errors import GitHubUnavailable
from deployer.core.webhooks.redelivery import Attempt, Sent
from deployer.ingress.missed_deliveries import recover
from deployer.ingress.receiver import Receiver, accept_delivery
from testing.github.rest_api import GitHubServer
from testing.github.webhook_deliveries import Hook
from testing.receiver.receiver_inputs import URL, body_of, headers_of, receiver_of, run_payload, sign

TOKEN = "a-token-for-github"


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.time = 1_900_000_000.0

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Scene:
    """A server with one hook at GitHub."""

    def __init__(self, store: SqliteStore, github: GitHubServer) -> None:
        self.clock = Clock()
        self.store = store
        self.receiver: Receiver = receiver_of(store, clock=self.clock)
        self.github = github
        self.hook = Hook(2, f"{URL}/webhook", "", "acme/shop")
        github.hooks = [self.hook]
        self.log = GitHubWebhookDeliveries(
            api=github.url, address=f"{URL}/webhook", repositories=["acme/shop"], token=TOKEN, timeout=2
        )

    def fails(
        self, number: int, code: int = 0, guid: str = "", event: str = "workflow_run", **run: Any
    ) -> str:
        """GitHub tries to deliver a run and gets this answer."""
        self.clock.time += 10
        payload = run_payload(run_number=number, **run)
        return self.hook.note(event, payload, code, guid=guid, at=self.clock.time)

    def look(self) -> list[tuple[str, int]]:
        """What a look takes: outcomes and run numbers."""
        self.clock.time += 600
        return [
            (str(receipt.outcome), receipt.deployment.run.number if receipt.deployment else 0)
            for receipt in recover(self.receiver, self.log)
        ]


@pytest.fixture
def scene(store: SqliteStore) -> Iterator[Scene]:
    with GitHubServer({"acme/shop": {}}, token=TOKEN) as github:
        made = Scene(store, github)
        yield made
        assert github.breaches == []


def test_what_failed_before_the_first_look_is_not_this_servers_to_take(scene: Scene) -> None:
    scene.clock.time -= 10_000
    scene.fails(1)
    scene.clock.time += 10_000
    assert scene.look() == []
    assert scene.look() == []


def test_a_missed_run_is_deployed_once_and_the_newest_wins(scene: Scene) -> None:
    assert scene.look() == []
    for number in (7, 9, 8):
        scene.fails(number, code=(502, 0, 503)[number % 3])
    assert scene.look() == [("queued", 7), ("queued", 9), ("stale", 9)]
    queued = scene.store.queue.claim(scene.clock.now())
    assert queued and queued[0].run.number == 9 and queued[0].trigger == "webhook"
    assert scene.look() == [] and scene.store.queue.claim(scene.clock.now()) is None


def test_what_was_answered_or_refused_or_taken_by_hand_is_left_alone(scene: Scene) -> None:
    scene.look()
    scene.fails(1, code=202)
    scene.fails(2, code=401)
    missed = scene.fails(3)
    scene.fails(3, code=200, guid=missed)  # somebody pressed Redeliver
    scene.fails(4, event="ping")
    assert scene.look() == []


def test_what_came_in_although_github_heard_no_answer_is_not_taken_twice(scene: Scene) -> None:
    scene.look()
    guid = scene.fails(5, code=504)
    raw = body_of(run_payload(run_number=5))
    accept_delivery(
        scene.receiver, headers=headers_of("workflow_run", guid=guid), raw=raw, signature=sign(raw)
    )
    assert scene.look() == []


def test_what_starts_nothing_is_recorded_with_its_reason_and_not_looked_at_again(scene: Scene) -> None:
    scene.look()
    scene.fails(6, conclusion="failure")
    scene.fails(7, repository_id=666)
    assert scene.look() == [("ignored", 0), ("ignored", 0)]
    assert scene.look() == []


def test_one_that_cannot_be_read_does_not_hold_up_the_next(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.look()
    scene.hook.note("workflow_run", {"action": "completed"}, 0, at=scene.clock.time + 5)
    scene.fails(8)
    with caplog.at_level(logging.WARNING):
        assert scene.look() == [("queued", 8)]
    assert "workflow_run: should be an object" in caplog.text


def test_an_api_that_fails_hurts_nobody_and_the_next_look_takes_it_all(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.look()
    scene.fails(9)
    scene.github.break_with("502")
    with caplog.at_level(logging.WARNING):
        assert scene.look() == []
    assert "deliveries of acme/shop" in caplog.text and TOKEN not in caplog.text
    scene.clock.time += 2 * 86_400  # of the three days that GitHub keeps them
    scene.github.mend()
    assert scene.look() == [("queued", 9)]


def test_a_look_that_breaks_off_is_taken_up_where_it_was(scene: Scene) -> None:
    scene.look()
    scene.fails(10)
    last = scene.fails(11)
    scene.github.break_with("500", path="/deliveries/2")
    assert scene.look() == [("queued", 10)] or scene.store.deliveries.was_delivered(last) is False
    scene.github.mend()
    assert scene.look() == [("queued", 11)]


def test_of_many_none_is_left_out(scene: Scene) -> None:
    scene.look()
    for number in range(1, 251):
        scene.fails(number)
    assert scene.look() == [("queued", number) for number in range(1, 251)]
    assert scene.look() == []


def test_one_that_github_has_forgotten_does_not_stop_the_looks(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.look()
    scene.fails(14)
    scene.hook.forgotten.add(scene.hook.attempts[-1]["id"])
    scene.fails(15)
    with caplog.at_level(logging.WARNING):
        assert scene.look() == [("queued", 15)]
    scene.clock.time += 3600
    scene.look()
    assert "GitHub answered 422" in caplog.text
    calls = len(scene.github.calls)
    assert scene.look() == []
    assert not [call for call in scene.github.calls[calls:] if call.status == 422], "the mark moved on"


def test_one_that_github_cannot_show_holds_up_no_other_and_is_asked_for_again(scene: Scene) -> None:
    scene.look()
    scene.fails(16)
    shy = scene.hook.attempts[-1]["id"]
    scene.github.break_with("500", path=f"/deliveries/{shy}")
    scene.fails(17, repository_id=666)
    scene.clock.time += 7200
    assert scene.look() == [("ignored", 0)]
    scene.github.mend()
    assert scene.look() == [("queued", 16)]


def test_a_renamed_repository_is_said_of_a_missed_run_too(scene: Scene) -> None:
    scene.look()
    scene.hook.note("workflow_run", renamed(run_payload(run_number=18)), 0, at=scene.clock.time + 5)
    scene.clock.time += 600
    (receipt,) = recover(scene.receiver, scene.log)
    assert "the repository is now acme/store" in receipt.reason


def renamed(payload: dict[str, Any]) -> dict[str, Any]:
    payload["repository"]["full_name"] = "acme/store"
    return payload


def test_an_app_that_takes_no_webhooks_gets_none(scene: Scene) -> None:
    scene.receiver = receiver_of(scene.store, clock=scene.clock, secrets={"shop": ()})
    scene.look()
    scene.fails(12)
    assert scene.look() == [("ignored", 0)]


def test_one_place_that_fails_does_not_hide_the_others(scene: Scene) -> None:
    inner = scene.log

    class Two:
        def places(self) -> Sequence[str]:
            return ["acme/gone", "acme/shop"]

        def hooks(self, place: str) -> Sequence[str]:
            if place == "acme/gone":
                raise GitHubUnavailable("acme/gone: GitHub answered 404")
            return inner.hooks(place)

        def attempts(self, hook: str, since: float) -> Sequence[Attempt]:
            return inner.attempts(hook, since)

        def fetch(self, hook: str, attempt: Attempt) -> Sent:
            return inner.fetch(hook, attempt)

    recover(scene.receiver, Two())
    scene.fails(13)
    scene.clock.time += 600
    assert [receipt.outcome for receipt in recover(scene.receiver, Two())] == ["queued"]
