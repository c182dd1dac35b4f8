"""Deploy jobs and releases for tests of the store, and a short way through the queue."""

from __future__ import annotations

from typing import Any

from deployer.adapters.sqlite.store import SqliteStore
from deployer.core.images import Image
from deployer.core.model import Credentials, DeployJob, Deployment, Kind, Release, Run, Status, Trigger
from testing.receiver.receiver_inputs import BUNDLE, DIGEST, REVISION

LOGIN = Credentials("ghcr.io", "octocat", "canary-registry-password")
IMAGES = {"web": Image("ghcr.io/acme/shop-web", DIGEST)}


def job(number: int = 1, attempt: int = 1, **changes: Any) -> DeployJob:
    fields: dict[str, Any] = {
        "app": "shop",
        "environment": "production",
        "kind": Kind.DEPLOY,
        "trigger": Trigger.ACTION,
        "actor": "octocat",
        "revision": REVISION,
        "run": Run(number, attempt),
        "images": IMAGES,
        "bundle": BUNDLE,
        "workflow": "deploy.yml",
    }
    return DeployJob(**{**fields, **changes})


def release(**changes: Any) -> Release:
    fields: dict[str, Any] = {
        "id": "",
        "app": "shop",
        "revision": REVISION,
        "images": IMAGES,
        "bundle": BUNDLE,
        "variables": {"PASSWORD": "canary-variable"},
    }
    return Release(**{**fields, **changes})


def run_through(
    store: SqliteStore, wanted: DeployJob, status: Status, draft: Release | None = None
) -> Deployment:
    """Enqueues, claims and finishes a job."""
    store.queue.enqueue(wanted, 1.0)
    claimed = store.queue.claim(2.0)
    assert claimed
    if draft:
        store.releases.save(claimed[0].id, draft, 0.0)
    return store.queue.finish(claimed[0].id, status, "", 3.0)


def kinds(store: SqliteStore, id: str) -> list[str]:
    return [event.kind for event in store.events.read(id)]
