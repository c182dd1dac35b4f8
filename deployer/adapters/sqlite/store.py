"""The queue and the record of deployments in SQLite. In: deploy jobs, events, releases. Out: model values.
Implements `ports.receiver_store.Inbox`.

A method's writes are synced to disk when it returns. `core.queue.supersede` decides which run wins. Content
that may hold a secret (bundle, variables, credentials) is stored sealed only, and a deploy job is erased when
its deployment ends.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from deployer.adapters.sqlite.audit_log import AuditRows, Ledger
from deployer.adapters.sqlite.confirmations import ConfirmationRows, note_word
from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.delegated_tasks import TaskRows
from deployer.adapters.sqlite.deliveries import DeliveryRows, ProofRows, note_arrival, spend_proof
from deployer.adapters.sqlite.deployment_history import GitHubIdRows
from deployer.adapters.sqlite.encryption import SealBroken, SealingKey, SecretStore
from deployer.adapters.sqlite.expiry import forget_old
from deployer.adapters.sqlite.image_records import ProvenRows
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.releases import served_mark
from deployer.adapters.sqlite.rows import (
    INSERT_DEPLOYMENT,
    deployment_of,
    images_sha256,
    job_of,
    new_row,
    pack_release,
    run_of,
    unpack_release,
)
from deployer.adapters.sqlite.schema import SCHEMA, UPGRADES, VERSION
from deployer.adapters.sqlite.tokens import ReadTokenRows, TokenRows
from deployer.core.audit.chain import AuditEvent
from deployer.core.audit.events import acceptance, completion, confirmation, ending
from deployer.core.auth.job_authorization import no_release
from deployer.core.errors import Forbidden, NotFound, StoreUnavailable
from deployer.core.model import Availability, DeployJob, Deployment, Event, Release, Status
from deployer.core.ports.arrivals import Arrival, Deliveries, Proof, Proofs
from deployer.core.ports.receiver_store import AuditLog, ReadTokens, Tokens
from deployer.core.queue.supersede import Outcome, decide_supersede, judge_interrupted, superseded_by
from deployer.core.release.confirmation import ConfirmationVerdict

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
_MAX_TEXT = 20_000  # characters of one event


class SqliteStore(ConfirmationRows, TaskRows, ProvenRows):
    """The database file at `path`, with secrets sealed by `vault`; with a sealing key alone, the store
    accepts deploy jobs and opens nothing. Raises ConfigError when key and file do not belong together.
    """

    def __init__(self, path: Path, secret_store: SecretStore | SealingKey) -> None:
        self._database = database = Database(path, SCHEMA, VERSION, UPGRADES)
        self._keys = StoreKeys(database, secret_store)
        self._ledger = Ledger(self._keys.audit_key)
        self.queued: Callable[[], None] = _nobody_waits  # called after a job is queued where none waited
        self.deliveries: Deliveries = DeliveryRows(database)
        self.proofs: Proofs = ProofRows(database)
        self.tokens: Tokens = TokenRows(database, self._ledger)
        self.read_tokens: ReadTokens = ReadTokenRows(database)
        self.audit: AuditLog = AuditRows(database, self._ledger)
        self.github_ids = GitHubIdRows(database)

    def close(self) -> None:
        self.audit.end_refusals()
        self._database.close()

    def enqueue(self, job: DeployJob, now: float, arrival: Arrival | None = None) -> tuple[Deployment, str]:
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
                _append(sql, row["id"], "claim", f"attempt {row['attempts'] + 1}", now)
                return deployment_of(_row(sql, row["id"])), job
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
                    _append(sql, row["id"], "requeue", "the deployer stopped during this deployment", now)
            return [deployment_of(_row(sql, row["id"])) for row in rows]

    def finish(self, id: str, status: Status, reason: str, now: float) -> Deployment:
        """Ends a deployment. A second call changes nothing."""
        with self._database.write() as sql:
            if not Status(_row(sql, id)["status"]).final:
                self._end(sql, id, status, reason, now)
            return deployment_of(_row(sql, id))

    def note_measured(self, id: str, measured: Availability) -> None:
        with self._database.write() as sql:
            text = json.dumps(asdict(measured))
            sql.execute("UPDATE deployment SET measured = ? WHERE id = ?", (text, id))

    def confirm(self, id: str, verdict: ConfirmationVerdict, reason: str, now: float) -> Deployment:
        with self._database.write() as sql:
            if note_word(sql, id, verdict, reason, now):
                _append(sql, id, "word", f"{verdict}: {reason}" if reason else verdict, now)
                self._ledger.record(sql, now, confirmation(deployment_of(_row(sql, id)), verdict, reason))
            return deployment_of(_row(sql, id))

    def append(self, id: str, kind: str, text: str, now: float) -> None:
        with self._database.write() as sql:
            _append(sql, id, kind, text, now)

    def events(self, id: str, after: int = 0) -> Sequence[Event]:
        rows = self._database.read(
            "SELECT n, at, kind, text FROM event WHERE deployment_id = ? AND n > ? ORDER BY n", (id, after)
        )
        return [Event(*row) for row in rows]

    def deployment(self, id: str) -> Deployment:
        rows = self._database.read("SELECT * FROM deployment WHERE id = ?", (id,))
        if not rows:
            raise NotFound(
                f"no deployment {id}", hint="`deployer history APP` shows their ids, 24 digits each"
            )
        return deployment_of(rows[0])

    def deployments(self, app: str, environment: str, limit: int = 20) -> Sequence[Deployment]:
        return self._find("1", (app, environment), limit)

    def save_release(self, deployment_id: str, draft: Release, now: float) -> Release:
        content = pack_release(draft)
        id = self._keys.release_id(draft.app, content)
        with self._database.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO release VALUES (?, ?, ?, ?)",
                (id, draft.app, draft.revision, self._keys.secret_store.seal(f"release {id}", content)),
            )
            sql.execute("UPDATE deployment SET release = ? WHERE id = ?", (id, deployment_id))
            self._ledger.record(sql, now, completion(deployment_of(_row(sql, deployment_id)), draft.images))
        return unpack_release(id, draft.app, content)

    def release(self, id: str) -> Release:
        rows = self._database.read("SELECT * FROM release WHERE id = ?", (id,))
        if not rows:
            raise no_release("the store", id)
        opened = self._keys.secret_store.open(f"release {id}", rows[0]["sealed"])
        return unpack_release(id, rows[0]["app"], opened)

    def forget_old(self, now: float) -> int:
        self.audit.end_refusals(now)
        return forget_old(self._database, now)

    def revision_of(self, app: str, release: str) -> str:
        rows = self._database.read("SELECT revision FROM release WHERE id = ? AND app = ?", (release, app))
        if not rows:
            raise no_release(app, release)
        return str(rows[0]["revision"])

    def serving(self, app: str, environment: str) -> Deployment | None:
        return next(iter(self._find("status = 'success'", (app, environment), 1)), None)

    def before(self, app: str, environment: str, release: str) -> Deployment | None:
        found = self._find("status = 'success' AND release <> ?", (app, environment, release), 1)
        return next(iter(found), None)

    def ready(self) -> bool:
        """True if arriving requests can be stored. Writes only if the last write failed."""
        try:
            self._database.read("SELECT 1 FROM seal")
            if self._database.failed:
                self._database.refuse_full()
                with self._database.write() as sql:
                    sql.execute("UPDATE audit_head SET n = n")
        except StoreUnavailable:
            return False
        return True

    def _find(self, condition: str, values: tuple[str, ...], limit: int) -> list[Deployment]:
        """Returns deployments, newest first. `condition` is this module's own text; values are bound."""
        of = "SELECT * FROM deployment WHERE app = ? AND environment = ?"
        sql = f"{of} AND {condition} ORDER BY seq DESC LIMIT ?"
        return [deployment_of(row) for row in self._database.read(sql, (*values, limit))]

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
        _append(sql, id, "enqueue", f"{job.kind} of {job.revision[:7] or job.release} by {job.actor}", now)
        return deployment_of(columns), [ending(ended)] if ended else []

    def _end(self, sql: sqlite3.Connection, id: str, status: Status, reason: str, now: float) -> None:
        if ended := _end(sql, _END_ONE, {"id": id}, status, reason, now):
            self._ledger.record(sql, now, ending(ended))
        if status is Status.SUCCESS:
            _, *words = served_mark(_row(sql, id))
            sql.execute("UPDATE deployment SET mark = ? WHERE id = ?", (self._keys.mark(*words), id))


def _nobody_waits() -> None:
    """Default callback, for a process without workers."""


def _end(
    sql: sqlite3.Connection, statement: str, which: dict[str, str], status: Status, reason: str, now: float
) -> Deployment | None:
    values = {**which, "status": status, "reason": _plain(reason), "now": now}
    row = sql.execute(statement, values).fetchone()
    if row is None:
        return None
    _append(sql, row["id"], "end", f"{status}: {reason}" if reason else status, now)
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


def _row(sql: sqlite3.Connection, id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = sql.execute("SELECT * FROM deployment WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NotFound(f"no deployment {id}")
    return row


def _append(sql: sqlite3.Connection, id: str, kind: str, text: str, now: float) -> None:
    sql.execute(
        "INSERT INTO event SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ? FROM event WHERE deployment_id = ?",
        (id, now, kind, _plain(text), id),
    )


def _plain(text: str) -> str:
    """Returns the text, cut and encodable: a child's output may hold half surrogates, which SQLite cannot
    store.
    """
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode()


def _new_id(now: float) -> str:
    """Returns an id that sorts by time and cannot be guessed from another one."""
    return f"{int(now * 1000):012x}{secrets.token_hex(6)}"
