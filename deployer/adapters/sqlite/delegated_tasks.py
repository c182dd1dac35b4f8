"""The store's part for tasks that one process delegates to another: images to resolve, plans to make. In and
out: values of `core.queue.delegated_task`. Sealed like deploy jobs: only the worker's key opens them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.deliveries import note_arrival, spend_proof
from deployer.adapters.sqlite.encryption import SealBroken
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.rows import pack_task, unpack_task
from deployer.core.errors import StoreUnavailable
from deployer.core.model import DeployJob
from deployer.core.ports.arrivals import Arrival, Proof
from deployer.core.queue.delegated_task import MOST, MOST_PLANS, PAUSE, DelegatedTask, TaskKind
from deployer.core.queue.supersede import Outcome
from deployer.core.webhooks.delivery import Delivery


class TaskRows:
    """Implements `ports.store.DelegatedTasks`."""

    def __init__(self, database: Database, keys: StoreKeys) -> None:
        self._database = database
        self._keys = keys

    def hand_over(self, task: TaskKind, jobs: Sequence[DeployJob], now: float, arrival: Arrival) -> str:
        id = secrets.token_hex(12)
        sealed = self._keys.sealing_key.seal(f"errand {id}", pack_task(jobs))
        with self._database.write() as sql:
            waiting = sql.execute("SELECT count(*) FROM errand WHERE task = ?", (task,)).fetchone()[0]
            if waiting >= (MOST_PLANS if task is TaskKind.PLAN else MOST):
                raise StoreUnavailable(
                    f"{waiting} tasks of this kind already wait for the worker",
                    hint="is `deployer worker` running?",
                )
            if isinstance(arrival, Proof):
                spend_proof(sql, arrival, now)
            elif isinstance(arrival, Delivery):
                note_arrival(sql, arrival, Outcome.IGNORED, "the worker looks its images up", None, now)
            sql.execute(
                "INSERT INTO errand (id, task, at, due, tries, sealed) VALUES (?, ?, ?, ?, 0, ?)",
                (id, task, now, now, sealed),
            )
        return id

    def next(self, now: float) -> DelegatedTask | None:
        rows = self._database.read(
            "SELECT * FROM errand WHERE answer IS NULL AND due <= ? ORDER BY task DESC, seq LIMIT 1", (now,)
        )
        for row in rows:
            try:
                opened = self._keys.secret_store.open_sealing_key(f"errand {row['id']}", row["sealed"])
                task = TaskKind(row["task"])
                jobs = unpack_task(opened, task)
                return DelegatedTask(row["id"], task, jobs, row["at"], row["tries"])
            except (
                SealBroken,
                ValueError,
                LookupError,
                TypeError,
                AttributeError,
                RuntimeError,
                ArithmeticError,
            ):
                self.drop(row["id"])  # this program did not write it
        return None

    def put_off(self, id: str, now: float) -> None:
        with self._database.write() as sql:
            sql.execute("UPDATE errand SET tries = tries + 1, due = ? WHERE id = ?", (now + PAUSE, id))

    def answer(self, id: str, answer: Mapping[str, Any]) -> None:
        with self._database.write() as sql:
            sql.execute("UPDATE errand SET answer = ? WHERE id = ?", (json.dumps(answer), id))

    def answer_of(self, id: str) -> Mapping[str, Any] | None:
        rows = self._database.read("SELECT answer FROM errand WHERE id = ? AND answer IS NOT NULL", (id,))
        found: Mapping[str, Any] | None = json.loads(rows[0]["answer"]) if rows else None
        return found

    def drop(self, id: str) -> None:
        with self._database.write() as sql:
            sql.execute("DELETE FROM errand WHERE id = ?", (id,))
