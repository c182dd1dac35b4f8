"""Deliveries of runs in any order, again and again, with deploys that succeed and fail, kills and restarts
between them, through the real door into a real database: the newest wins, and none older begins after it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from deployer.core.model import Deployment, Run, Status
from deployer.core.queue.supersede import MAX_ATTEMPTS, Outcome
from deployer.ingress.receiver import Receipt, Receiver
from testing.receiver.receiver_inputs import headers_of, open_store, receiver_of, run_payload
from testing.receiver.senders import deliver

RUNS = st.builds(Run, st.integers(1, 20), st.integers(1, 2))
ENDS = st.sampled_from([Status.SUCCESS, Status.SUCCESS, Status.FAILURE, Status.ERROR])


class Order(RuleBasedStateMachine):
    """GitHub, the worker and the machine's power switch, in whatever order Hypothesis likes."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.begin()
        self.accepted: list[Run] = []  # as they were queued, oldest first
        self.sent: list[Run] = []
        self.running: Deployment | None = None
        self.begun: list[Run] = []
        self.now = 1000.0

    def begin(self) -> None:
        self.store = open_store(Path(self.folder.name))
        self.receiver: Receiver = receiver_of(self.store)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.reconcile()
            self.store.close()
            self.folder.cleanup()

    def reconcile(self) -> None:
        """Lets the worker end everything: what serves then is the newest that did not fail."""
        if self.running:
            self.finish(Status.SUCCESS)
        self.claim()
        if self.running:
            self.finish(Status.SUCCESS)
        states = [item.status for item in self.store.deployments.history("shop", "production", 1000)]
        assert all(status.final for status in states)
        newest = max(self.accepted, default=None)
        of_newest = [d for d in self.store.deployments.history("shop", "production", 1000) if d.run == newest]
        if newest:
            assert any(d.status in (Status.SUCCESS, Status.FAILURE, Status.ERROR) for d in of_newest)
        serving = self.store.deployments.serving("shop", "production")
        if serving and of_newest[0].status is Status.SUCCESS:
            assert serving.run == newest

    @rule(run=RUNS)
    def deliver(self, run: Run) -> None:
        self._judge(run, self._deliver(run, f"guid-{len(self.sent)}"))
        self.sent.append(run)

    @precondition(lambda self: bool(getattr(self, "sent", None)))
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """The button *Redeliver*: the same GUID and the same bytes."""
        n = data.draw(st.integers(0, len(self.sent) - 1))
        self._judge(self.sent[n], self._deliver(self.sent[n], f"guid-{n}"))

    def _deliver(self, run: Run, guid: str) -> Receipt:
        payload = run_payload(
            run_number=run.number, run_attempt=run.attempt, head_sha=f"{run.number:038}{run.attempt:02}"
        )
        self.now += 1.0
        return deliver(self.receiver, payload, headers=headers_of("workflow_run", guid=guid))

    def _judge(self, run: Run, receipt: Receipt) -> None:
        newest = max(self.accepted, default=Run())
        if run < newest:
            assert receipt.outcome is Outcome.STALE
        elif run > newest:
            assert receipt.outcome is Outcome.QUEUED
        else:
            of_run = [d for d in self.store.deployments.history("shop", "production", 1000) if d.run == run]
            failed = of_run[1:] if receipt.outcome is Outcome.QUEUED else of_run
            tried_again = failed[0].status in (Status.FAILURE, Status.ERROR)
            assert receipt.outcome is (Outcome.QUEUED if tried_again else Outcome.DUPLICATE)
        if receipt.outcome is Outcome.QUEUED:
            self.accepted.append(run)

    @rule()
    def claim(self) -> None:
        claimed = self.store.queue.claim(self.now)
        if claimed is None:
            return
        assert self.running is None, "two at once"
        self.running = claimed[0]
        assert self.running.run == max(self.accepted), "an older one begins after a newer was accepted"
        self.begun.append(self.running.run)

    @precondition(lambda self: getattr(self, "running", None) is not None)
    @rule(status=ENDS)
    def finish(self, status: Status) -> None:
        assert self.running
        self.store.queue.finish(self.running.id, status, "", self.now)
        self.running = None

    @rule()
    def restart(self) -> None:
        """The process dies and another one begins on what it left."""
        self.store.close()
        self.begin()
        left = self.store.queue.requeue_interrupted(self.now)
        assert [item.id for item in left] == ([self.running.id] if self.running else [])
        for item in left:
            newer = [run for run in self.accepted if run > item.run]
            if item.status is Status.QUEUED:
                assert not newer and item.attempts < MAX_ATTEMPTS
        self.running = None

    @invariant()
    def one_of_each_at_most(self) -> None:
        if hasattr(self, "store"):
            states = [item.status for item in self.store.deployments.history("shop", "production", 1000)]
            assert states.count(Status.QUEUED) <= 1
            assert states.count(Status.IN_PROGRESS) <= 1


@pytest.mark.case("B01", "B03", "B05", "B07", "B10")
def test_in_whatever_order_runs_arrive_the_newest_wins() -> None:
    _examples(60)


@pytest.mark.long
@pytest.mark.case("B05")
def test_a_thousand_orders() -> None:
    _examples(1000)


def _examples(count: int) -> None:
    run_state_machine_as_test(
        Order, settings=settings(max_examples=count, stateful_step_count=25, deadline=None)
    )
