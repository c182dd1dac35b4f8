"""An engine that stops in the middle: frozen while it pulls, killed while replicas start. The failure says
so, what ran stays, and the next deploy works. On an engine of its own, which keeps containers when it dies.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from deployer.core.config.settings import EDGE_IMAGE
from testing.docker.faulty_registry import FaultyRegistry, push_fresh
from testing.docker.second_engine import SecondEngine
from testing.stage import Stage, docker, wait_for
from testing.user_repository import Published
from tests.scenarios.faults.test_faults import slow_start, wait_for_event
from tests.scenarios.faults.test_registry_faults import through

pytestmark = [pytest.mark.engine, pytest.mark.long]
DEADLINE = 30  # seconds of a deployment
CALL = 60  # seconds that one call of the engine's API may take; some come after the deadline, to clear up


@pytest.fixture(scope="module")
def engine() -> Iterator[SecondEngine]:
    with SecondEngine({"live-restore": True}) as made:
        made.fetch(EDGE_IMAGE)
        yield made


@pytest.fixture
def apart(engine: SecondEngine) -> Iterator[Stage]:
    """The shop on that engine; its images are built on the shared one and pulled from the registry."""
    stage = Stage()
    stage.engine = engine.address
    with stage:
        yield stage


def first_release(stage: Stage) -> Published:
    """Its pull takes longer than the deploys after it may."""
    release = stage.publish("1.0.0")
    ended = stage.deploy(release)
    assert ended["status"] == "success", ended
    assert stage.serves() == "1.0.0"
    stage.reconfigure("[server]", f"[server]\ndeadline = {DEADLINE}")
    return release


def running(engine: SecondEngine) -> set[str]:
    return set(docker("ps", "--no-trunc", "-q", extra=engine.env).split())


@pytest.mark.case("F05")
def test_an_engine_that_freezes_in_a_pull_ends_it_at_the_deadline(engine: SecondEngine, apart: Stage) -> None:
    release = first_release(apart)
    before = running(engine)
    with FaultyRegistry(apart.registry) as faulty:
        ours = f'images = ["{apart.namespace}/shop-*"'
        apart.reconfigure(f"{ours}]", f'{ours}, "{faulty.host}/{apart.project}/*"]')
        fresh = push_fresh(apart.registry, f"{apart.project}/shop-backend")
        faulty.fault = "stuck"
        _, asked = apart.request(through(faulty, release, fresh))
        wait_for("the pull", lambda: any("/blobs/" in path for path in faulty.asked), 60)
        begun = time.monotonic()
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            ended = apart.finished(asked["id"], asked["read_token"], 240.0)
        finally:
            os.kill(engine.pid, signal.SIGCONT)
    assert ended["status"] == "error" and "unavailable]" in ended["reason"], ended
    assert time.monotonic() - begun < DEADLINE + 2.5 * CALL
    assert running(engine) == before
    wait_for("what served before", lambda: apart.serves() == "1.0.0", 60)
    again = apart.publish("2.0.0")
    assert apart.deploy(again)["status"] == "success" and apart.serves() == "2.0.0"


@pytest.mark.case("F05")
def test_an_engine_that_is_killed_while_replicas_start_is_said_and_the_next_deploy_works(
    engine: SecondEngine, apart: Stage
) -> None:
    release = first_release(apart)
    before = running(engine)
    slow_start(apart, 10)
    _, asked = apart.request(apart.publish("2.0.0"))
    wait_for_event(apart, asked, "plan")
    wait_for("the new replicas", lambda: len(running(engine)) > len(before), 60)
    engine.stop(signal.SIGKILL)
    ended = apart.finished(asked["id"], asked["read_token"], 240.0)
    assert ended["status"] == "error" and "[engine-unavailable]" in ended["reason"], ended
    engine.start()
    assert before <= running(engine), "what served runs on"
    wait_for("the first release", lambda: apart.serves() == "1.0.0", 60)
    again = apart.deploy(release)
    assert again["status"] == "success", again
    assert apart.serves() == "1.0.0"
