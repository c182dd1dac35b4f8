"""A door without an engine and a worker with one, on one store: what the door hands over is done, once, and
by the worker's settings.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from itertools import count as count_up
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.github.github_client import GitHubClient
from deployer.adapters.github.oidc_verifier import OidcVerifier
from deployer.adapters.sqlite.encryption import open_secret_store
from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.config.settings import load_config
from deployer.core.errors import DeployerError, StoreUnavailable, TokenRejected, WorkerSilent
from deployer.core.model import Bundle, DeployJob, Kind, Trigger
from deployer.core.ports.arrivals import Proof
from deployer.core.queue.delegated_task import PATIENCE, PAUSE, TRIES, TaskKind
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import audience_of, encode_request
from deployer.ingress.plan_requests import accept_plan
from deployer.ingress.receiver import Receipt, Receiver, accept_delivery
from deployer.worker.delegated_tasks import run_task
from testing.compose_models import image, shop
from testing.github.oidc_issuer import Issuer
from testing.github.rest_api import GitHubServer
from testing.receiver.in_memory_target import MemoryTarget, in_memory_context
from testing.receiver.receiver_inputs import (
    REVISION,
    URL,
    body_of,
    config_table,
    deploy_request,
    headers_of,
    package_event,
    receiver_of,
    sign,
)
from testing.receiver.senders import count
from tests.deployment.test_deploy import FastClock
from tests.worker.test_announced_images import COMPOSE, Pushed

_NUMBERS = count_up()


def proof() -> Proof:
    return Proof(f"token-{next(_NUMBERS)}", 2_000_000_000.0)


def a_job() -> DeployJob:
    return DeployJob("shop", "production", Kind.DEPLOY, Trigger.ACTION, "ada", REVISION, images={})


class Halves:
    """Both, without the processes; `clock` is the worker's, the door has time of its own."""

    def __init__(self, folder: Path, stand_in: GitHubServer, issuer: Issuer) -> None:
        self.clock = FastClock()
        secret_store = open_secret_store(folder / "key")
        self.mine = SqliteStore(folder / "deployer.db", secret_store)
        self.webs = SqliteStore(folder / "deployer.db", secret_store.sealing_key)
        self.registry = Pushed()
        model = shop()
        for name in ("backend", "frontend"):
            model["services"][name] = {"build": ".", "networks": {"default": None}}
        self.target = MemoryTarget(model)
        self.github = GitHubClient(api=stand_in.url, token="t", ledger=self.mine.github_ids)
        self.context = in_memory_context(
            self.target,
            config=load_config(config_table(packages=True, plans=True, trust_tags=True)),
            store=self.mine,
            registry=self.registry,
            github=self.github,
            clock=self.clock,
            variables=lambda *_: {"DATABASE_PASSWORD": "canary-of-the-server"},
        )
        self.issuer = issuer
        issuer.claims = {"event_name": "pull_request", "base_ref": "main", "ref": "refs/pull/7/merge"}
        verifier = OidcVerifier(issuer.url, folder / "jwks.json")
        self.receiver: Receiver = receiver_of(
            self.webs, self.context.config, verify_token=verifier.verify_token, clock=FastClock()
        )

    def announce(self, **changes: Any) -> Receipt:
        raw = body_of(package_event("package", **changes))
        return accept_delivery(self.receiver, headers=headers_of("package"), raw=raw, signature=sign(raw))

    def ask(self) -> Any:
        """A plan, as the action asks for it."""
        images = {name: image(name, "a") for name in ("backend", "frontend")}
        bundle = Bundle("compose.yaml", {"compose.yaml": "a: ${GIVEN}"})
        raw = encode_request(deploy_request(images=images, bundle=bundle, variables={}))
        return accept_plan(self.receiver, raw=raw, bearer=self.issuer.mint(audience_of(URL, raw)))

    def reconcile(self, **settings: Any) -> None:
        """Other settings for the worker alone."""
        self.context = dataclasses.replace(self.context, config=load_config(config_table(**settings)))

    def work(self) -> int:
        """Everything that is due; how much it was."""
        done = 0
        while run_task(self.context):
            done += 1
        return done


class Patient(FastClock):
    """Really waits."""

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(seconds)
        self.time += 0.001


@pytest.fixture
def halves(tmp_path: Path) -> Iterator[Halves]:
    content = {"0" * 40: COMPOSE, REVISION: COMPOSE}
    with GitHubServer({"acme/shop": content}, token="t") as stand_in, Issuer() as issuer:
        made = Halves(tmp_path, stand_in, issuer)
        yield made
        made.github.close(5)
        made.webs.close()
        made.mine.close()


@pytest.fixture
def working(halves: Halves) -> Iterator[Halves]:
    """With a worker that works."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            if not run_task(halves.context):
                over.wait(0.01)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    object.__setattr__(halves.receiver, "clock", Patient())
    yield halves
    over.set()
    thread.join(60)


def test_an_announced_image_is_not_lost_and_completes_its_release_later(halves: Halves) -> None:
    halves.registry.push("backend")
    receipt = halves.announce(name="shop-backend")
    assert receipt.outcome is Outcome.IGNORED and "the worker checks" in receipt.reason
    assert count(halves.mine, "delivery") == 1 and count(halves.mine, "errand") == 1
    assert halves.work() == 1 and count(halves.mine, "deployment") == 0, "the other image is missing"
    halves.registry.push("frontend")
    halves.announce(name="shop-frontend")
    halves.announce(name="shop-frontend", tag="latest")
    assert halves.work() == 2 and count(halves.mine, "errand") == 0
    claimed = halves.mine.queue.claim(1.0)
    assert claimed and claimed[1].images and halves.mine.queue.claim(1.0) is None


def test_a_registry_that_is_down_is_asked_again_and_given_up_in_the_end(halves: Halves) -> None:
    halves.registry.push("backend")
    halves.registry.push("frontend")
    halves.registry.down = True
    halves.announce()
    assert halves.work() == 1 and halves.work() == 0, "not at once again"
    halves.clock.time += PAUSE
    halves.registry.down = False
    assert halves.work() == 1 and count(halves.mine, "deployment") == 1

    halves.registry.down = True
    halves.announce()
    for _ in range(TRIES):
        assert halves.work() == 1
        halves.clock.time += PAUSE
    assert halves.work() == 0 and count(halves.mine, "errand") == 0


def test_a_plan_is_made_by_the_worker(working: Halves) -> None:
    found = working.ask()
    assert found.changes == {"backend": "new", "frontend": "new"}
    assert found.missing_variables == ["GIVEN"] and "create  backend" in found.plan
    assert count(working.mine, "errand") == count(working.mine, "deployment") == 0
    assert count(working.mine, "proof") == 1


def test_what_the_worker_says_against_a_plan_is_the_doors_answer(working: Halves) -> None:
    working.reconcile(plans=False)
    with pytest.raises(DeployerError, match="settings answer no such plan") as refused:
        working.ask()
    assert refused.value.code == "forbidden"


def test_a_plan_without_a_worker_ends_in_time_and_is_made_for_nobody(halves: Halves) -> None:
    with pytest.raises(WorkerSilent, match="within 45 s") as refused:
        halves.ask()
    assert "deployer worker" in refused.value.hint
    assert count(halves.mine, "errand") == 0
    halves.webs.tasks.hand_over(TaskKind.PLAN, [a_job()], halves.clock.now(), proof())
    halves.clock.time += PATIENCE
    assert halves.work() == 1 and halves.target.calls == []


def test_the_worker_acts_on_nothing_that_its_settings_do_not_allow(halves: Halves) -> None:
    """As a door that was taken over could leave it."""
    halves.registry.push("backend")
    halves.registry.push("frontend")
    halves.reconcile(packages=False)
    halves.announce()
    forged = [dataclasses.replace(a_job(), app="bank"), dataclasses.replace(a_job(), revision="x")]
    halves.webs.tasks.hand_over(TaskKind.HINT, forged, 1.0, proof())
    assert halves.work() == 2 and count(halves.mine, "deployment") == 0


def test_what_is_no_errand_is_cleared_away(halves: Halves) -> None:
    halves.announce()
    seal = halves.webs._keys.sealing_key.seal
    with halves.mine._database.write() as sql:
        for id, content in (("a", "[1]"), ("b", "no JSON"), ("c", json.dumps([{"app": "shop"}]))):
            sql.execute(
                "INSERT INTO errand (id, task, at, due, tries, sealed) VALUES (?, 'plan', 0, 0, 0, ?)",
                (id, seal(f"errand {id}", content)),
            )
        sql.execute("UPDATE errand SET sealed = x'00' WHERE task = 'hint'")
    for _ in range(5):
        halves.work()
    assert count(halves.mine, "errand") == 0


def test_so_many_wait_and_no_more(halves: Halves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.adapters.sqlite.delegated_tasks.MOST", 2)
    halves.announce()
    halves.announce()
    with pytest.raises(StoreUnavailable, match="2 tasks of this kind already wait"):
        halves.announce()
    assert count(halves.mine, "delivery") == 2, "what was not taken is not noted as taken"


def test_a_door_reads_nothing_of_what_it_handed_over_and_a_token_makes_one_plan(halves: Halves) -> None:
    halves.announce()
    with pytest.raises(StoreUnavailable, match="no key"):
        halves.webs.tasks.next(2_000_000_000.0)
    once = proof()
    halves.webs.tasks.hand_over(TaskKind.PLAN, [a_job()], 1.0, once)
    with pytest.raises(TokenRejected, match="used before"):
        halves.webs.tasks.hand_over(TaskKind.PLAN, [a_job()], 1.0, once)


def test_a_bug_in_one_errand_is_a_try_and_holds_up_nothing(
    halves: Halves, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise RecursionError("a bug")

    halves.registry.push("backend")
    halves.registry.push("frontend")
    halves.announce(name="shop-backend")
    with monkeypatch.context() as patched:
        patched.setattr("deployer.worker.delegated_tasks.resolve_announcement", broken)
        assert halves.work() == 1 and count(halves.mine, "errand") == 1, "put off, and no longer in the way"
    halves.announce(name="shop-frontend")
    assert halves.work() == 1 and count(halves.mine, "deployment") == 1, "the one behind it was done"

    monkeypatch.setattr("deployer.worker.delegated_tasks.resolve_announcement", broken)
    for _ in range(TRIES - 1):
        assert count(halves.mine, "errand") == 1
        halves.clock.time += PAUSE
        assert halves.work() == 1
    assert count(halves.mine, "errand") == 0, "dropped after the last try"
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    given_up = f"an announced image starts nothing: given up after {TRIES} tries: RecursionError"
    assert told == ["a delegated task failed"] * TRIES + [given_up], "each error once"


def test_an_expected_failure_in_an_errand_is_a_try_and_leaves_no_traceback(
    halves: Halves, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> Any:
        raise StoreUnavailable("the disk is full")

    halves.registry.push("backend")
    halves.registry.push("frontend")
    halves.announce()
    with monkeypatch.context() as patched:
        patched.setattr(halves.mine.queue, "enqueue", full)
        assert halves.work() == 1 and count(halves.mine, "errand") == 1
    assert "the disk is full [" in caplog.text and "Traceback" not in caplog.text
    halves.clock.time += PAUSE
    assert halves.work() == 1 and count(halves.mine, "deployment") == 1


@pytest.mark.parametrize("error", [TypeError("a bug"), MemoryError(), LookupError("hunter22")])
def test_a_plan_that_breaks_is_answered_at_once(
    working: Halves, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> Any:
        raise error

    monkeypatch.setattr("deployer.worker.delegated_tasks.preview", broken)
    with pytest.raises(DeployerError, match=f"the worker broke .{type(error).__name__}") as refused:
        working.ask()
    assert refused.value.code == "internal" and "hunter22" not in str(refused.value)
    assert count(working.mine, "errand") == 0


def test_an_errand_nested_without_end_is_cleared_away(halves: Halves) -> None:
    deep = halves.webs._keys.sealing_key.seal("errand deep", "[" * 100_000)
    with halves.mine._database.write() as sql:
        sql.execute(
            "INSERT INTO errand (id, task, at, due, tries, sealed) VALUES ('deep', 'plan', 0, 0, 0, ?)",
            (deep,),
        )
    halves.work()
    assert count(halves.mine, "errand") == 0
