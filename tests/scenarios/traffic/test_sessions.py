"""What lasts longer than a request, through deploys and deaths: sessions in memory, WebSockets."""

from __future__ import annotations

import base64
import http.cookiejar
import itertools
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pytest

from testing.load.http_load import Load
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_compose_shapes import ask, of, request_of, ship

pytestmark = pytest.mark.engine
COMPOSE = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports: ["{{port}}:3001"]
        x-deployer: {{drain-timeout: {drain}}}
        deploy: {{replicas: {count}}}
        {{check}}
"""


class WebSocket:
    """A connection upgraded through the edge; what is sent comes back with the replica's mark before it."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((address, port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /socket HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._lines = self._socket.makefile("rb")
        assert b" 101 " in self._lines.readline()
        self.head = b"".join(iter(self._lines.readline, b"\r\n")).decode().lower()

    def echo(self, text: str) -> str:
        """Empty once the other side has hung up."""
        try:
            self._socket.sendall(f"{text}\n".encode())
            return self._lines.readline().decode().strip()
        except OSError:
            return ""

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Visitor:
    """A browser: keeps its cookies and asks again and again, from `with` to its end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.seen: list[dict[str, Any]] = []
        self.errors: list[Exception] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def get(self, path: str = "") -> Any:
        with self._opener.open(f"{self._url}{path}", timeout=30) as answer:
            return answer.read(), answer.headers

    def visit(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.get()[0])
        self.seen.append(body)
        return body

    @property
    def stays(self) -> list[list[int]]:
        """Its session's counts at each replica, one after another."""
        groups = itertools.groupby(self.seen, key=lambda body: body["host"])
        return [[body["count"] for body in group] for _, group in groups]

    def _run(self) -> None:
        while not self._over.wait(0.05):
            try:
                self.visit()
            except (OSError, ValueError) as error:
                self.errors.append(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=60)


@contextmanager
def visitors(url: str, count: int) -> Iterator[list[Visitor]]:
    many = [Visitor(url) for _ in range(count)]
    for one in many:
        one.__enter__()
    try:
        wait_for("everybody's first answers", lambda: all(len(one.seen) > 3 for one in many))
        yield many
    finally:
        for one in many:
            one.__exit__(None, None, None)


def deploy(stage: Stage, release: Published, mark: str, count: int, drain: str = "30s") -> None:
    ended = ship(stage, release, COMPOSE.format(mark=mark, count=count, drain=drain))
    assert ended["status"] == "success", ended["reason"]


def counting(length: int, first: int) -> list[int]:
    return list(range(first, first + length))


@pytest.mark.alone
def test_visitors_stay_at_their_replica_and_move_once_when_it_is_replaced(
    stage: Stage, memory: Published
) -> None:
    url = f"http://127.0.0.1:{stage.api_port}/"
    deploy(stage, memory, "one", 3)
    with visitors(url, 9) as many:
        deploy(stage, memory, "two", 3)
        wait_for("answers of the new release", lambda: all(one.seen[-1]["env"] == "two" for one in many))
    assert [one.errors for one in many] == [[]] * 9
    for one in many:
        assert [body["env"] for body in one.seen] == sorted(body["env"] for body in one.seen)
        assert one.stays == [counting(len(stay), stay[0]) for stay in one.stays], "no session was lost"
        assert [stay[0] for stay in one.stays] == [1, 1], "at the old replica, then at one new one"
    assert len({one.seen[0]["host"] for one in many}) > 1, "and not all at the same"
    assert "Set-Cookie" not in Visitor(url).get("app.js")[1], "what caches keep carries no cookie"
    lost = many[0].visit()["host"]
    docker("kill", lost)
    assert many[0].visit()["count"] == 1, "its replica died, so it begins anew at another"
    wait_for("the edge's own checks", lambda: time_of(lambda: ask(stage)) < 1, 30)
    assert many[0].visit()["count"] >= 2


def time_of(act: Any) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


@pytest.mark.long
@pytest.mark.alone
def test_a_websocket_is_kept_through_a_deploy_until_the_drain_is_over(
    stage: Stage, memory: Published
) -> None:
    deploy(stage, memory, "one", 1)
    kept, ended_early = WebSocket(stage.api_port), WebSocket(stage.api_port)
    with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
        # Another number of replicas is another configuration of the edge: it is reloaded on the way.
        text = COMPOSE.format(mark="two", count=2, drain="8s")
        status, answer = request_of(stage, memory, text)
        assert status == 202, answer
        wait_for("the new release", lambda: ask(stage)["env"] == "two")
        assert kept.echo("still there?") == "one still there?", "it goes on at the replica that it began at"
        assert ended_early.echo("bye") == "one bye"
        ended_early.close()
        fresh = WebSocket(stage.api_port)
        assert fresh.echo("and me?") == "two and me?"
        while (said := kept.echo("tick")) == "one tick":
            time.sleep(0.1)
        ended = stage.finished(answer["id"], answer["read_token"])
    assert said in ("going away", ""), said
    assert ended["status"] == "success", ended["reason"]
    _, record = stage.get(f"/api/v1/deployments/{answer['id']}?after=0", answer["read_token"])
    story = [event["text"] for event in record["events"]]
    assert any("1 requests still run after 8 s" in line for line in story), "\n".join(story)
    assert load.report.losses() == []
    assert fresh.echo("and now?") == "two and now?"
    begun = time.monotonic()
    status, answer = request_of(stage, memory, COMPOSE.format(mark="three", count=2, drain="10m"))
    wait_for("the new release", lambda: ask(stage)["env"] == "three")
    fresh.close()
    assert stage.finished(answer["id"], answer["read_token"])["status"] == "success"
    assert time.monotonic() - begun < 300, "a drain ends with the last connection"
    assert len(of(stage, "web")) == 2
