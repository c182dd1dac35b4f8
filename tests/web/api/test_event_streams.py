"""Server-sent events over a real socket, served by waitress."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from deployer.core.errors import StoreUnavailable
from deployer.core.model import Deployment, EventKind, Status
from testing.docker.docker_cli import wait_for
from tests.web.conftest import WebClient, bearer

Frame = dict[str, str]


@contextmanager
def opened(served: str, made: dict[str, Any], **headers: str) -> Iterator[http.client.HTTPResponse]:
    address = urlsplit(served)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=40)
    sent = {
        **bearer(made["read_token"]),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection.request("GET", f"/api/v1/deployments/{made['id']}/events", headers=sent)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def frames(answer: http.client.HTTPResponse) -> Iterator[Frame]:
    """Each block of the stream as its fields; comments have the empty name."""
    fields: Frame = {}
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(":")
        if name or value:
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield fields
            fields = {}


def events(answer: http.client.HTTPResponse) -> Iterator[Frame]:
    return (frame for frame in frames(answer) if "event" in frame)


def test_a_story_is_told_while_it_happens_and_ends_with_the_status(
    web_client: WebClient, served: str
) -> None:
    made = web_client.deploy()
    store = web_client.receiver.store
    with opened(served, made) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        story = events(answer)
        assert next(story)["event"] == "enqueue"
        store.queue.claim(1.0)
        assert next(story)["event"] == "claim"
        store.events.append(made["id"], "pull", "web: two\nlines", 5.0)
        frame = next(story)
        assert (frame["id"], frame["event"]) == ("3", "pull")
        assert json.loads(frame["data"]) == {"n": 3, "at": 5.0, "kind": "pull", "text": "web: two\nlines"}
        store.queue.finish(made["id"], Status.FAILURE, "the gate said no", 6.0)
        frame = next(story)
        assert (frame["id"], frame["event"]) == ("4", "end")
        assert json.loads(frame["data"]) == {
            "n": 4,
            "at": 6.0,
            "kind": "end",
            "text": "failure: the gate said no",
            "status": "failure",
            "reason": "the gate said no",
            "previous": "",
            "measured": None,
        }
        assert list(story) == []
        assert answer.read() == b""


def test_a_kind_that_another_version_recorded_is_told_as_it_is(web_client: WebClient, served: str) -> None:
    made = web_client.deploy()
    store = web_client.receiver.store
    store.events.append(made["id"], "teleport", "web is elsewhere", 5.0)
    store.queue.finish(made["id"], Status.SUCCESS, "", 6.0)
    assert "teleport" not in [*EventKind]
    assert [event.kind for event in store.events.read(made["id"])] == ["enqueue", "teleport", "end"]
    with opened(served, made) as answer:
        told = [json.loads(frame["data"]) for frame in events(answer)]
    assert [one["kind"] for one in told] == ["enqueue", "teleport", "end"]
    url, headers = f"/api/v1/deployments/{made['id']}?after=1", bearer(made["read_token"])
    polled = web_client.client.get(url, headers=headers).get_json()["events"]
    assert [one["kind"] for one in polled] == ["teleport", "end"]


def test_a_stream_that_broke_goes_on_after_the_last_event_that_arrived(
    web_client: WebClient, served: str
) -> None:
    made = web_client.deploy()
    web_client.receiver.store.queue.claim(1.0)
    web_client.receiver.store.events.append(made["id"], "pull", "web", 5.0)
    web_client.receiver.store.queue.finish(made["id"], Status.SUCCESS, "", 6.0)
    with opened(served, made, Last_Event_ID="2") as answer:
        assert [frame["event"] for frame in events(answer)] == ["pull", "end"]
    for known in ("4", "99"):
        with opened(served, made, Last_Event_ID=known) as answer:
            assert [frame["event"] for frame in events(answer)] == ["end"]
    with opened(served, made, Last_Event_ID="x") as answer:
        assert [frame["id"] for frame in events(answer)] == ["1", "2", "3", "4"]


def test_a_quiet_stream_shows_that_it_lives_and_ends_after_its_time_without_an_end(
    web_client: WebClient, served: str
) -> None:
    made = web_client.deploy()
    begun = time.monotonic()
    with opened(served, made) as answer:
        told = list(frames(answer))
    assert 1 < time.monotonic() - begun < 40
    assert [frame["event"] for frame in told if "event" in frame] == ["enqueue"]
    assert sum("" in frame for frame in told) >= 3


def test_more_streams_than_the_cap_are_503_until_one_ends(web_client: WebClient, served: str) -> None:
    made = web_client.deploy()

    def status() -> int:
        with opened(served, made) as answer:
            return answer.status

    with opened(served, made) as first, opened(served, made) as second:
        assert next(events(first)) and next(events(second))
        with opened(served, made) as third:
            assert third.status == 503
            assert int(third.headers["Retry-After"]) > 0
            assert json.loads(third.read())["error"] == "too-many-streams"
        web_client.receiver.store.queue.finish(made["id"], Status.INACTIVE, "superseded", 2.0)
        assert first.read() and second.read()
    wait_for("a free stream", lambda: status() == 200)


def test_a_reader_that_goes_away_gives_its_place_back(web_client: WebClient, served: str) -> None:
    made = web_client.deploy()
    for _ in range(2):
        with opened(served, made) as answer:
            assert next(events(answer))

    def free() -> bool:
        with opened(served, made) as answer:
            return answer.status == 200

    wait_for("a free stream", free)


def test_a_stream_ends_when_the_database_is_out_of_reach(
    web_client: WebClient, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = web_client.deploy()
    with opened(served, made) as answer:
        story = events(answer)
        assert next(story)["event"] == "enqueue"

        def unavailable(_id: str) -> Deployment:
            raise StoreUnavailable("gone")

        monkeypatch.setattr(web_client.receiver.store.deployments, "get", unavailable)
        assert list(story) == []


def test_webhooks_are_answered_while_all_streams_are_taken(web_client: WebClient, served: str) -> None:
    made = web_client.deploy()
    with opened(served, made) as first, opened(served, made) as second:
        assert next(events(first)) and next(events(second))
        address = urlsplit(served)
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=2)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
