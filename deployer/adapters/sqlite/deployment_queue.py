"""The store's part for the queue of deployments. In: deploy jobs. Out: deployments, one running and one
queued for each app and environment.

`core.queue.supersede` decides which run wins. Content that may hold a secret (bundle, variables, credentials)
is stored sealed only, and a deploy job is erased when its deployment ends.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence

from deployer.adapters.sqlite.audit_log import Ledger
from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.deliveries import note_arrival, spend_proof
from deployer.adapters.sqlite.deployment_events import append_event, plain
from deployer.adapters.sqlite.deployment_history import find_row
from deployer.adapters.sqlite.encryption import SealBroken
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.releases import served_mark
from deployer.adapters.sqlite.rows import (
    INSERT_DEPLOYMENT,
    deployment_of,
    images_sha256,
    job_of,
    new_row,
    run_of,
)
from deployer.core.audit.chain import AuditEvent
from deployer.core.audit.events import acceptance, ending
from deployer.core.errors import Forbidden
from deployer.core.model import DeployJob, Deployment, EventKind, Status
from deployer.core.ports.arrivals import Arrival, Proof
from deployer.core.queue.supersede import Outcome, decide_supersede, judge_interrupted, superseded_by

# The index is named because SQLite would rather read the whole history in its order.
_CLAIMABLE = """
SELECT * FROM deployment AS waiting INDEXED BY one_queued WHERE status = 'queued' AND NOT EXISTS (
    SELECT 1 FROM deployment AS running
    WHERE running.app = waiting.app AND running.environment = waiting.environment
    AND running.status = 'in_progress'
) ORDER BY seq LIMIT 1"""
_END = (
    "UPDATE deployment SET status = :status, reason = :reason, ended_at = :now,"
    " sealed_wish = NULL, sealed_credentials = NULL WHERE {} RETURNING *"
)
_END_ONE = _END.format("id = :id")
_END_WAITING = _END.format("app = :app AND environment = :environment AND status = 'queued'")


class QueueRows:
    """Implements `ports.store.DeploymentQueue`."""

    def __init__(self, database: Database, keys: StoreKeys, ledger: Ledger) -> None:
        self._database = database
        self._keys = keys
        self._ledger = ledger
        self.queued: Callable[[], None] = _nobody_waits

    def enqueue(
        self, job: DeployJob, now: float, arrival: Arrival | None = None
    ) -> tuple[Deployment, Outcome]:
        with self._database.write() as sql:
            if isinstance(arrival, Proof):
                spend_proof(sql, arrival, now)
            newest = _newest_run(sql, job)
            outcome = _judge(job, newest) if newest else Outcome.QUEUED
            superseded: list[AuditEvent] = []
            if outcome is Outcome.QUEUED or newest is None:
                deployment, superseded = self._queue(sql, job, now)
            else:
                deployment = deployment_of(newest)
            note_arrival(sql, arrival, outcome, "", deployment.id, now)
            self._ledger.record(sql, now, *superseded, acceptance(job, deployment.id, outcome))
        if outcome is Outcome.QUEUED and not superseded:  # the superseded one's notification covers this one
            self.queued()
        return deployment, outcome

    def claim(self, now: float) -> tuple[Deployment, DeployJob] | None:
        self._ledger.absorb(self._database)
        if not self._database.read(
            _CLAIMABLE
        ):  # idle workers poll often and should not take the writer's lock
            return None
        with self._database.write() as sql:
            while row := sql.execute(_CLAIMABLE).fetchone():
                try:
                    job = job_of(self._keys.secret_store, row)
                except SealBroken as error:  # one damaged row must not block the queue
                    self._end(sql, row["id"], Status.ERROR, f"{error} [{error.code}]", now)
                    continue
                sql.execute(
                    "UPDATE deployment SET status = 'in_progress', attempts = attempts + 1,"
                    " started_at = coalesce(started_at, ?), previous = ? WHERE id = ?",
                    (now, _served(sql, row), row["id"]),
                )
                append_event(sql, row["id"], EventKind.CLAIM, f"attempt {row['attempts'] + 1}", now)
                return deployment_of(find_row(sql, row["id"])), job
        return None

    def requeue_interrupted(self, now: float) -> Sequence[Deployment]:
        with self._database.write() as sql:
            rows = sql.execute(
                "SELECT * FROM deployment INDEXED BY one_running WHERE status = 'in_progress' ORDER BY seq"
            ).fetchall()
            for row in rows:
                newer = _queued(sql, row["app"], row["environment"])
                status, reason = judge_interrupted(row["attempts"], newer)
                if status.final:
                    self._end(sql, row["id"], status, reason, now)
                else:
                    sql.execute("UPDATE deployment SET status = ? WHERE id = ?", (status, row["id"]))
                    told = "the deployer stopped during this deployment"
                    append_event(sql, row["id"], EventKind.REQUEUE, told, now)
            return [deployment_of(find_row(sql, row["id"])) for row in rows]

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment:
        """Ends a deployment. A second call changes nothing."""
        with self._database.write() as sql:
            if not Status(find_row(sql, id)["status"]).final:
                self._end(sql, id, status, reason, now)
            return deployment_of(find_row(sql, id))

    def _queue(
        self, sql: sqlite3.Connection, job: DeployJob, now: float
    ) -> tuple[Deployment, list[AuditEvent]]:
        """Returns the new deployment, and the audit event of the queued one that it supersedes, if any."""
        id = _new_id(now)
        place = {"app": job.app, "environment": job.environment}
        ended = _end(sql, _END_WAITING, place, Status.INACTIVE, superseded_by(id), now)
        columns = new_row(self._keys.sealing_key, id, job, now)
        sql.execute(INSERT_DEPLOYMENT, columns)
        if job.github:
            sql.execute("INSERT INTO forge (deployment_id, number) VALUES (?, ?)", (id, job.github))
        asked = f"{job.kind} of {job.revision[:7] or job.release} by {job.actor}"
        append_event(sql, id, EventKind.ENQUEUE, asked, now)
        return deployment_of(columns), [ending(ended)] if ended else []

    def _end(self, sql: sqlite3.Connection, id: str, status: Status, reason: str, now: float) -> None:
        if ended := _end(sql, _END_ONE, {"id": id}, status, reason, now):
            self._ledger.record(sql, now, ending(ended))
        if status is Status.SUCCESS:
            _, *words = served_mark(find_row(sql, id))
            sql.execute("UPDATE deployment SET mark = ? WHERE id = ?", (self._keys.mark(*words), id))


def _nobody_waits() -> None:
    """Default callback, for a process without workers."""


def _end(
    sql: sqlite3.Connection, statement: str, which: dict[str, str], status: Status, reason: str, now: float
) -> Deployment | None:
    values = {**which, "status": status, "reason": plain(reason), "now": now}
    row = sql.execute(statement, values).fetchone()
    if row is None:
        return None
    append_event(sql, row["id"], EventKind.END, f"{status}: {reason}" if reason else status, now)
    return deployment_of(row)


def _judge(job: DeployJob, newest: sqlite3.Row) -> Outcome:
    run = run_of(newest)
    outcome = decide_supersede(job.run, run, Status(newest["status"])) if run else Outcome.QUEUED
    asked, known = images_sha256(job.images), newest["images_sha256"]
    if outcome is Outcome.DUPLICATE and asked and known and asked != known:
        raise Forbidden(
            "images: this attempt of the run already asked for other images",
            hint="re-run the workflow: a new attempt is new",
        )
    return outcome


def _newest_run(sql: sqlite3.Connection, job: DeployJob) -> sqlite3.Row | None:
    row: sqlite3.Row | None = sql.execute(
        "SELECT * FROM deployment WHERE app = ? AND environment = ? AND workflow = ?"
        " AND run_number IS NOT NULL ORDER BY run_number DESC, run_attempt DESC, seq DESC LIMIT 1",
        (job.app, job.environment, job.workflow),
    ).fetchone()
    return row


def _queued(sql: sqlite3.Connection, app: str, environment: str) -> str:
    row = sql.execute(
        "SELECT id FROM deployment WHERE app = ? AND environment = ? AND status = 'queued'",
        (app, environment),
    ).fetchone()
    return row["id"] if row else ""


def _served(sql: sqlite3.Connection, row: sqlite3.Row) -> str:
    """Returns the revision that serves while this deployment is claimed."""
    found = sql.execute(
        "SELECT revision FROM deployment WHERE app = ? AND environment = ? AND status = 'success'"
        " ORDER BY seq DESC LIMIT 1",
        (row["app"], row["environment"]),
    ).fetchone()
    return found["revision"] if found else ""


def _new_id(now: float) -> str:
    """Returns an id that sorts by time and cannot be guessed from another one."""
    return f"{int(now * 1000):012x}{secrets.token_hex(6)}"
