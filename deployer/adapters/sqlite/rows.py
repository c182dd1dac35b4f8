"""Conversion between rows and model values. In: model values. Out: columns, sealed if they may hold a secret;
and back.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployer.adapters.sqlite.encryption import SealBroken, SealingKey, SecretStore
from deployer.core.images import Image
from deployer.core.model import (
    Attested,
    Availability,
    Bundle,
    Credentials,
    DeployJob,
    Deployment,
    GivenVariables,
    Kind,
    Release,
    Run,
    Status,
    Trigger,
)
from deployer.core.queue.delegated_task import TaskKind
from deployer.core.release.proven_images import encode_tested
from deployer.core.webhooks.triggers import announcement_job

_COLUMNS = (
    "id, app, environment, kind, trigger, actor, revision, workflow, run_number, run_attempt, images_sha256,"
    " status, reason, created_at, started_at, ended_at, attempts, release, previous, measured, sealed_wish,"
    " sealed_credentials"
)
INSERT_DEPLOYMENT = f"INSERT INTO deployment ({_COLUMNS}) VALUES (:{_COLUMNS.replace(', ', ', :')})"
_NOTHING: dict[str, Any] = {"images": None, "bundle": None, "confirm": 0}  # without a sealed deploy job
Row = sqlite3.Row | dict[str, Any]


def deployment_of(row: Row) -> Deployment:
    """Returns the deployment of one row of `deployment`."""
    return Deployment(
        id=row["id"],
        app=row["app"],
        environment=row["environment"],
        kind=Kind(row["kind"]),
        trigger=row["trigger"],
        actor=row["actor"],
        revision=row["revision"],
        status=Status(row["status"]),
        reason=row["reason"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        attempts=row["attempts"],
        release=row["release"],
        run=run_of(row) or Run(),
        previous=row["previous"],
        measured=Availability(**json.loads(row["measured"])) if row["measured"] else None,
    )


def new_row(sealing_key: SealingKey, id: str, job: DeployJob, now: float) -> dict[str, Any]:
    """Returns the row of a queued deployment, by column."""
    wanted, credentials = sealed_job(sealing_key, id, job)
    return {
        "id": id,
        "app": job.app,
        "environment": job.environment,
        "kind": job.kind,
        "trigger": job.trigger,
        "actor": job.actor,
        "revision": job.revision,
        "workflow": job.workflow,
        "run_number": job.run.number if job.run else None,
        "run_attempt": job.run.attempt if job.run else None,
        "images_sha256": images_sha256(job.images),
        "status": Status.QUEUED,
        "reason": "",
        "created_at": now,
        "started_at": None,
        "ended_at": None,
        "attempts": 0,
        "release": job.release,
        "previous": "",
        "measured": None,
        "sealed_wish": wanted,
        "sealed_credentials": credentials,
    }


def run_of(row: Row) -> Run | None:
    return None if row["run_number"] is None else Run(row["run_number"], row["run_attempt"])


def sealed_job(sealing_key: SealingKey, id: str, job: DeployJob) -> tuple[bytes | None, bytes | None]:
    """Returns the columns `sealed_wish` and `sealed_credentials`; None if the deploy job holds nothing beyond
    the other columns, as that of a webhook's run.
    """
    if job.images is None and not (
        job.bundle
        or job.confirm
        or job.variables
        or job.defaults
        or job.credentials
        or job.branch
        or job.run_tasks
    ):
        return None, None
    content: dict[str, Any] = {
        "images": _pack_images(job.images),
        "bundle": _pack_bundle(job.bundle),
        "confirm": job.confirm,
    }
    if job.variables:
        content["variables"] = dict(job.variables)
    if job.defaults:
        content["defaults"] = dict(job.defaults)
    if job.branch:
        content["branch"] = job.branch
    if job.tested:
        content["tested"] = encode_tested(job.tested)
    if job.run_tasks:
        content["run_tasks"] = True
    login = job.credentials
    credentials = json.dumps([login.host, login.username, login.password]) if login else None
    return (
        sealing_key.seal(f"wish of {id}", json.dumps(content)),
        sealing_key.seal(f"credentials of {id}", credentials) if credentials else None,
    )


def job_of(secret_store: SecretStore, row: sqlite3.Row) -> DeployJob:
    """Returns the deploy job of an unfinished row. Raises SealBroken: any process that writes to the queue
    can seal any content, so the content is not trusted.
    """
    try:
        return _opened(secret_store, row)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SealBroken(
            f"wish of {row['id']}: is no deploy job", hint="this program did not write it"
        ) from None


def _opened(secret_store: SecretStore, row: sqlite3.Row) -> DeployJob:
    sealed, login = row["sealed_wish"], row["sealed_credentials"]
    content = (
        json.loads(secret_store.open_sealing_key(f"wish of {row['id']}", sealed)) if sealed else _NOTHING
    )
    return DeployJob(
        app=row["app"],
        environment=row["environment"],
        kind=Kind(row["kind"]),
        trigger=Trigger(row["trigger"]),
        actor=row["actor"],
        revision=row["revision"],
        run=run_of(row),
        images=_unpack_images(content["images"]),
        bundle=Bundle(**content["bundle"]) if content["bundle"] else None,
        release=row["release"],
        credentials=Credentials(
            *json.loads(secret_store.open_sealing_key(f"credentials of {row['id']}", login))
        )
        if login
        else None,
        workflow=row["workflow"],
        variables=content.get("variables", {}),
        defaults=content.get("defaults", {}),
        confirm=content["confirm"],
        branch=str(content.get("branch", "")),
        tested=_tested(content.get("tested")),
        run_tasks=content.get("run_tasks") is True,
    )


def _tested(table: Mapping[str, Any] | None) -> Attested | None:
    if table is None:
        return None
    return Attested(str(table["combination"]), dict(table["trees"]), frozenset(table["reused"]))


def images_sha256(images: Mapping[str, Image] | None) -> str:
    """Returns a hash that distinguishes two requests of one run; empty if the server resolves the images
    itself.
    """
    if images is None:
        return ""
    return hashlib.sha256(json.dumps(_pack_images(images), sort_keys=True).encode()).hexdigest()


def pack_release(release: Release) -> str:
    """Returns the release's whole content as text: the same content, the same text."""
    content = {
        "revision": release.revision,
        "images": _pack_images(release.images),
        "bundle": _pack_bundle(release.bundle),
        "variables": dict(release.variables),
    }
    if release.given:
        content["given"] = {"request": dict(release.given.request), "defaults": dict(release.given.defaults)}
    return json.dumps(content, sort_keys=True)


def unpack_release(id: str, app: str, text: str) -> Release:
    content = json.loads(text)
    images = _unpack_images(content["images"])
    bundle = Bundle(**content["bundle"])
    given = GivenVariables(**content["given"]) if "given" in content else None
    return Release(id, app, content["revision"], images or {}, bundle, content["variables"], given)


def _pack_images(images: Mapping[str, Image] | None) -> dict[str, list[str]] | None:
    return (
        None if images is None else {name: [image.repository, image.digest] for name, image in images.items()}
    )


def _unpack_images(packed: Mapping[str, list[str]] | None) -> dict[str, Image] | None:
    return None if packed is None else {name: Image(*pair) for name, pair in packed.items()}


def _pack_bundle(bundle: Bundle | None) -> dict[str, Any] | None:
    return None if bundle is None else {"entry": bundle.entry, "files": dict(bundle.files)}


def pack_task(jobs: Sequence[DeployJob]) -> str:
    """Returns the parts of deploy jobs that a worker needs in order to judge them."""
    return json.dumps(
        [
            {
                "app": job.app,
                "environment": job.environment,
                "actor": job.actor,
                "revision": job.revision,
                "origin": job.origin,
                "images": _pack_images(job.images),
                "bundle": _pack_bundle(job.bundle),
                "variables": dict(job.variables),
                "defaults": dict(job.defaults),
            }
            for job in jobs
        ]
    )


def unpack_task(text: str, task: TaskKind) -> tuple[DeployJob, ...]:
    """Returns the deploy jobs. Raises ValueError, TypeError, KeyError or AttributeError for content that
    `pack_task` did not write.
    """
    unpack = _unpack_announcement if task is TaskKind.HINT else _unpack_plan
    return tuple(unpack(one) for one in json.loads(text))


def _unpack_announcement(one: Mapping[str, Any]) -> DeployJob:
    job = announcement_job(str(one["app"]), str(one["environment"]), str(one["actor"]), str(one["revision"]))
    return replace(job, origin=str(one["origin"]))


def _unpack_plan(one: Mapping[str, Any]) -> DeployJob:
    return DeployJob(
        app=str(one["app"]),
        environment=str(one["environment"]),
        kind=Kind.DEPLOY,
        trigger=Trigger.ACTION,
        actor=str(one["actor"]),
        revision=str(one["revision"]),
        images=_unpack_images(one["images"]),
        bundle=Bundle(**one["bundle"]) if one["bundle"] else None,
        variables={str(name): str(value) for name, value in one["variables"].items()},
        defaults={str(name): str(value) for name, value in one.get("defaults", {}).items()},
    )
