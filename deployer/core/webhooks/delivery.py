"""Webhook delivery from GitHub. In: headers and the raw body. Out: `Delivery`, typed events, or the
reason of a refusal. Never performs I/O.

The signature covers the body only: the event name and the GUID are unverified claims of the sender, so the
body decides. Contract: https://docs.github.com/en/webhooks (facts checked against octokit/webhooks' payload
examples).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from deployer.core.errors import PayloadRejected, SignatureMismatch
from deployer.core.http.json_fields import Fields
from deployer.core.http.strict_json import parse_object

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_GUID = re.compile(r"[\x21-\x7e]{1,100}")
_EVENT = re.compile(r"[a-z_]{1,64}")
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10


class ContentTypeRejected(PayloadRejected):
    """The delivery is signed, but its body is neither JSON nor a form."""

    code = "content-type-rejected"
    http_status = 415


@dataclass(frozen=True)
class Delivery:
    """HTTP call from GitHub with a verified signature. `guid` stays the same in a redelivery."""

    guid: str
    event: str
    body_sha256: str
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Ping:
    """GitHub's description of the webhook's own settings."""

    events: tuple[str, ...]
    content_type: str
    insecure_ssl: bool


@dataclass(frozen=True)
class WorkflowRun:
    """`workflow_run` event. Texts that GitHub may leave out are empty, ids 0 (a deleted fork has no
    repository).
    """

    action: str
    conclusion: str
    event: str
    head_branch: str
    head_sha: str
    path: str  # without the `@ref` that GitHub sometimes adds
    head_repository_id: int
    repository_id: int
    repository: str  # OWNER/NAME at present; names can change hands, ids cannot
    run_number: int
    run_attempt: int
    run_id: int
    actor: str


def verify(raw: bytes, signature: str | None, secrets: Sequence[bytes]) -> frozenset[int]:
    """Returns the indexes of the secrets that signed exactly these bytes; raises SignatureMismatch if there
    is none.

    Every secret is tried, so the duration does not reveal the matching one.
    """
    if signature is None:
        raise SignatureMismatch(
            "the delivery is not signed with X-Hub-Signature-256",
            hint="set a secret in the webhook's settings on GitHub",
        )
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureMismatch("X-Hub-Signature-256 is not of the form sha256=<64 hex>")
    given = signature.encode("ascii")
    macs = [b"sha256=" + hmac.new(secret, raw, hashlib.sha256).hexdigest().encode() for secret in secrets]
    signers = frozenset([index for index, mac in enumerate(macs) if hmac.compare_digest(mac, given)])
    if not signers:
        raise SignatureMismatch(
            "the signature fits no configured webhook secret",
            hint="the secret on GitHub and in the server's webhook-secret-files must be the same",
        )
    return signers


def parse_delivery(headers: Mapping[str, str], raw: bytes) -> Delivery:
    """Parses a body after its signature was verified. Raises PayloadRejected or ContentTypeRejected."""
    known = {name.lower(): value for name, value in headers.items()}
    guid, event = known.get("x-github-delivery", ""), known.get("x-github-event", "")
    if not _GUID.fullmatch(guid):
        raise PayloadRejected("X-GitHub-Delivery: should be 1 to 100 printable characters")
    if not _EVENT.fullmatch(event):
        raise PayloadRejected("X-GitHub-Event: should be an event's name")
    body = _json_of(raw, known.get("content-type", ""))
    return Delivery(guid, event, hashlib.sha256(raw).hexdigest(), parse_object(body))


def ping_of(delivery: Delivery) -> Ping:
    """Returns the event. Raises PayloadRejected for the first field of another type."""
    hook = Fields(delivery.payload).table("hook")
    config = hook.table("config")
    return Ping(
        events=hook.texts("events"),
        content_type=config.text("content_type"),
        insecure_ssl=config.switch("insecure_ssl"),
    )


def workflow_run_of(delivery: Delivery) -> WorkflowRun:
    """Returns the event. Raises PayloadRejected for the first field that is missing or of another type."""
    top = Fields(delivery.payload)
    run = top.table("workflow_run")
    head = run.table("head_repository", optional=True)
    actor = run.table("actor", optional=True)
    repository = top.table("repository")
    return WorkflowRun(
        action=top.text("action"),
        conclusion=run.text("conclusion", optional=True),
        event=run.text("event"),
        head_branch=run.text("head_branch", optional=True),
        head_sha=run.revision("head_sha"),
        path=run.text("path").partition("@")[0],
        head_repository_id=head.number("id") if head else 0,
        repository_id=repository.number("id"),
        repository=repository.text("full_name", optional=True),
        run_number=run.number("run_number"),
        run_attempt=run.number("run_attempt"),
        run_id=run.number("id"),
        actor=actor.text("login") if actor else "",
    )


def _json_of(raw: bytes, content_type: str) -> bytes:
    media, _, parameter = content_type.partition(";")
    charset = parameter.strip().lower()
    if charset in ("", "charset=utf-8", 'charset="utf-8"'):
        if media.strip().lower() == JSON:
            return raw
        if media.strip().lower() == FORM:
            return _form_payload(raw)
    raise ContentTypeRejected(
        "the delivery is neither JSON nor a form", hint=f"set the webhook's content type on GitHub to {JSON}"
    )


def _form_payload(raw: bytes) -> bytes:
    try:
        fields = parse_qsl(
            raw.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise PayloadRejected("the body is not a form") from None
    payloads = [value for name, value in fields if name == "payload"]
    if len(payloads) != 1:
        raise PayloadRejected("payload: should stand in the form exactly once")
    return payloads[0].encode()
