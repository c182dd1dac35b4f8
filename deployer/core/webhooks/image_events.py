"""Events that announce images: `deployment` with our marker, `package`, `registry_package`. In: a delivery.
Out: typed events, or PayloadRejected.

A `deployment` names a whole release by digest in its payload: `{"schema": 1, "images": {service:
repository@sha256:…}}`, with an optional `app`, under the task `deploy-images`. A package event names one
manifest of one image, often without a tag, with only one of several tags, and without a repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import PayloadRejected
from deployer.core.http.json_fields import Fields
from deployer.core.http.strict_json import parse_object
from deployer.core.images import REVISION, Image
from deployer.core.model import Run
from deployer.core.requests.deploy_request import SCHEMA, parse_images
from deployer.core.webhooks.delivery import Delivery

TASK = "deploy-images"  # a job with `environment:` creates deployments with the task `deploy` by itself
_OF_REVISION = re.compile(r"sha-([0-9a-f]{40})")


@dataclass(frozen=True)
class Started:
    """The workflow run that created a deployment, as named by GitHub, not by the payload."""

    event: str
    head_branch: str
    head_sha: str
    path: str
    run: Run


@dataclass(frozen=True)
class Announcement:
    """`deployment` event; `payload` is empty if it is not ours, `started` None without a run."""

    action: str
    id: int
    task: str
    sha: str
    ref: str
    environment: str
    actor: str
    repository_id: int
    payload: Mapping[str, Any]
    started: Started | None


@dataclass(frozen=True)
class Package:
    """`package` or `registry_package` event. Texts that GitHub may leave out are empty, ids 0."""

    action: str
    kind: str
    namespace: str
    name: str
    tag: str
    commit: str
    actor: str
    repository_id: int

    @property
    def revision(self) -> str:
        """Returns the revision in the tag, else the commit that GitHub names; empty if neither is one."""
        tagged = _OF_REVISION.fullmatch(self.tag)
        if tagged:
            return tagged[1]
        return self.commit if REVISION.fullmatch(self.commit) else ""


def announcement_of(delivery: Delivery) -> Announcement:
    """Returns the event. Raises PayloadRejected for the first field that is missing or of another type."""
    top = Fields(delivery.payload)
    made = top.table("deployment")
    return Announcement(
        action=top.text("action"),
        id=made.number("id"),
        task=made.text("task"),
        sha=made.revision("sha"),
        ref=made.text("ref"),
        environment=made.text("environment"),
        actor=made.table("creator", optional=True).text("login", optional=True),
        repository_id=top.table("repository").number("id"),
        payload=_payload(delivery.payload["deployment"].get("payload")),
        started=_started(top.table("workflow_run", optional=True)),
    )


def images_of(announcement: Announcement) -> dict[str, Image]:
    """Returns the images of the release that the payload names. Raises PayloadRejected."""
    return parse_images(Fields(announcement.payload, "deployment.payload.").mapping("images"))


def app_of(announcement: Announcement) -> str:
    """Returns the app that the payload names, empty if it names none."""
    return Fields(announcement.payload, "deployment.payload.").text("app", optional=True)


def package_of(delivery: Delivery) -> Package:
    """Returns the event. Raises PayloadRejected for the first field of another type."""
    top = Fields(delivery.payload)
    package = top.table(delivery.event)
    version = package.table("package_version", optional=True)
    tag = version.table("container_metadata", optional=True).table("tag", optional=True)
    repository = top.table("repository", optional=True)
    return Package(
        action=top.text("action"),
        kind=package.text("package_type", optional=True).lower(),
        namespace=package.text("namespace", optional=True),
        name=package.text("name"),
        tag=tag.text("name", optional=True),
        commit=version.text("target_oid", optional=True),
        actor=top.table("sender", optional=True).text("login", optional=True),
        repository_id=repository.number("id") if repository else 0,
    )


def _payload(value: object) -> Mapping[str, Any]:
    """Returns the deployment's payload, which GitHub sends as nothing, an object, or its JSON text."""
    if isinstance(value, str):
        try:
            value = parse_object(value.encode())
        except PayloadRejected:
            return {}
    ours = isinstance(value, dict) and value.get("schema") == SCHEMA and "images" in value
    return value if ours and isinstance(value, dict) else {}


def _started(run: Fields) -> Started | None:
    if not run:
        return None
    return Started(
        event=run.text("event"),
        head_branch=run.text("head_branch", optional=True),
        head_sha=run.revision("head_sha"),
        path=run.text("path").partition("@")[0],
        run=Run(run.number("run_number"), run.number("run_attempt")),
    )
