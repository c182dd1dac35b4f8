"""Pitfalls of a redeploy that no other scenario shows, by their numbers (`testing/security/pitfalls.py`)."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest

from testing.stage import Published, Stage, docker
from tests.scenarios.deploys.test_compose_shapes import ECHO, ask, of, ship

pytestmark = pytest.mark.engine
COUNTING = """\
import http from 'node:http';
let posts = 0;
http.createServer((request, response) => {
  if (request.method === 'POST') { posts += 1; return request.socket.destroy(); }
  response.end(JSON.stringify({ env: process.env.MARK, posts: String(posts) }) + '\\n');
}).listen(3001);
process.on('SIGTERM', () => console.log('no'));
"""
DEAF = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        stop_grace_period: {grace}
        x-deployer: {{gate-timeout: 3s}}
        ports: ["{{port}}:{inside}"]
"""


@pytest.fixture
def counting(stage: Stage) -> Published:
    """Counts the POSTs that it hangs up on, and does not end on SIGTERM."""
    stage.source.write("backend/server.js", COUNTING)
    return stage.publish("1.0.0")


@pytest.mark.long
def test_e5_what_ignores_its_stop_signal_is_told_and_what_never_served_is_not_waited_for(
    stage: Stage, counting: Published
) -> None:
    assert ship(stage, counting, DEAF.format(mark="one", grace="10m", inside=3001))["status"] == "success"
    ended = ship(stage, counting, DEAF.format(mark="two", grace="2s", inside=3001))
    assert ended["status"] == "success", ended["reason"]
    assert (
        "was killed after 2 s: it did not exit on its stop signal"
        in stage.cli("show", str(ended["id"])).stdout
    )
    begun = time.monotonic()
    failed = ship(stage, counting, DEAF.format(mark="three", grace="10m", inside=3002))
    assert failed["status"] == "failure" and "not ready within 3 s" in str(failed["reason"]), failed
    assert time.monotonic() - begun < 300, "ten minutes of grace were not waited for"
    assert ask(stage)["env"] == "two"


def test_e11_a_post_that_was_hung_up_on_is_not_sent_again(stage: Stage, counting: Published) -> None:
    assert ship(stage, counting, DEAF.format(mark="one", grace="1s", inside=3001))["status"] == "success"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{stage.api_port}/", data=b"order=1", timeout=30)
    assert caught.value.code == 502
    assert ask(stage)["posts"] == "1"


STACK = """
    services:
      api:
        build: backend
        environment: {{MARK: "{mark}", PORT: "3002"}}
        healthcheck:
          test: ["CMD", "wget", "-qO-", "http://127.0.0.1:3002/"]
          start_period: 20s
          start_interval: 250ms
      web:
        build: backend
        depends_on: {{api: {{condition: service_healthy, restart: true}}}}
        ports: ["{{port}}:3001"]
"""


def test_e12_who_depends_on_a_service_runs_on_while_it_is_replaced(stage: Stage) -> None:
    stage.source.write("backend/server.js", ECHO.replace("3001", "process.env.PORT || 3001"))
    echo = stage.publish("1.0.0")
    for mark in ("one", "two", "three"):
        ended = ship(stage, echo, STACK.format(mark=mark))
        assert ended["status"] == "success", ended["reason"]
        (web,), (api,) = of(stage, "web"), of(stage, "api")
        if mark == "one":
            first, before = (web["Id"], web["State"]), api["Id"]
        assert (web["Id"], web["State"]) == first
    assert api["Id"] != before


@pytest.mark.long
def test_e9_names_alternate_and_do_not_grow(stage: Stage, counting: Published) -> None:
    names: list[str] = []
    for mark in ("one", "two", "three", "four"):
        assert ship(stage, counting, DEAF.format(mark=mark, grace="1s", inside=3001))["status"] == "success"
        (web,) = of(stage, "web")
        names.append(str(web["Name"]))
    assert set(names) == {f"/{stage.project}-web-1", f"/{stage.project}-web-2"}
    assert names[0] == names[2] != names[1] == names[3]
    assert docker("ps", "-aq", "--filter", f"name={stage.project}-web").count("\n") == 1
