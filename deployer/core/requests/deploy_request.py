"""The deploy request, as the action sends it and the receiver reads it: one module, so that both sides agree.

JSON, schema 1: repository, environment, revision (40 hex), run {number, attempt}, actor, images {service:
repository@sha256:…}, compose {entry, files {path: text}}, optional app, registry {host, username, password},
variables {NAME: value}, which win over the server's file, defaults {NAME: value}, over which it wins,
confirm, seconds, and tested {combination, trees, reused}. The OIDC token's audience binds the server's origin
and the exact bytes: `audience_of`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.core.errors import PayloadRejected
from deployer.core.http.strict_json import parse_object
from deployer.core.images import REVISION, Image, parse_image
from deployer.core.model import Attested, Bundle, Credentials, Run
from deployer.core.names import MAX_SERVICES, SERVICE_NAME, STEERING, is_bundle_path
from deployer.core.release.confirmation import MAX_CONFIRM
from deployer.core.release.proven_images import encode_tested, parse_tested

SCHEMA = 1
MAX_FILES = 200
MAX_FILE_BYTES = 1_000_000
MAX_VARIABLES = 500
MAX_VARIABLE_BYTES = 100_000
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


@dataclass(frozen=True)
class DeployRequest:
    """A request in valid form; authorisation is decided elsewhere."""

    repository: str
    app: str
    environment: str
    revision: str
    run: Run
    actor: str
    images: Mapping[str, Image]
    bundle: Bundle
    credentials: Credentials | None
    confirm: int = 0
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict, repr=False)
    tested: Attested | None = None


def audience_of(server: str, body: bytes) -> str:
    """Returns the audience of a token that may send `body` to `server`: a stolen token fits no
    other bytes.
    """
    return f"{server.rstrip('/')}#sha256={hashlib.sha256(body).hexdigest()}"


def encode_request(request: DeployRequest) -> bytes:
    """Returns the bytes that the action signs and sends; the same request always gives the same bytes."""
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "repository": request.repository,
        "app": request.app,
        "environment": request.environment,
        "revision": request.revision,
        "run": {"number": request.run.number, "attempt": request.run.attempt},
        "actor": request.actor,
        "images": {service: str(image) for service, image in request.images.items()},
        "compose": {"entry": request.bundle.entry, "files": dict(request.bundle.files)},
    }
    if request.confirm:
        body["confirm"] = request.confirm
    if request.credentials:
        login = request.credentials
        body["registry"] = {"host": login.host, "username": login.username, "password": login.password}
    if request.variables:
        body["variables"] = dict(request.variables)
    if request.defaults:
        body["defaults"] = dict(request.defaults)
    if request.tested:
        body["tested"] = encode_tested(request.tested)
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_request(raw: bytes) -> DeployRequest:
    """Parses a request. Raises PayloadRejected with the faulty field."""
    body = parse_object(raw)
    if body.get("schema") != SCHEMA:
        raise PayloadRejected(
            f"schema: should be {SCHEMA}", hint="use the action and the server of one version"
        )
    run, images = _table(body, "run"), parse_images(_table(body, "images"))
    return DeployRequest(
        repository=_text(body, "repository"),
        app=_text(body, "app", optional=True),
        environment=_text(body, "environment"),
        revision=_revision(body),
        run=Run(_count(run, "number"), _count(run, "attempt")),
        actor=_text(body, "actor", optional=True)[:100],
        images=images,
        bundle=_bundle(_table(body, "compose")),
        credentials=_credentials(body),
        variables=_variables(body, "variables"),
        defaults=_variables(body, "defaults"),
        confirm=_seconds(body),
        tested=parse_tested(body["tested"], images) if "tested" in body else None,
    )


def _revision(body: Mapping[str, Any]) -> str:
    revision = _text(body, "revision")
    if not REVISION.fullmatch(revision):
        raise PayloadRejected("revision: should be the full commit id, 40 hex digits in lower case")
    return revision


def parse_images(table: Mapping[str, Any]) -> dict[str, Image]:
    """Parses service → image by digest. Raises PayloadRejected."""
    if not 0 < len(table) <= MAX_SERVICES:
        raise PayloadRejected(f"images: should name 1 to {MAX_SERVICES} services")
    for service in table:
        if not SERVICE_NAME.fullmatch(service):
            raise PayloadRejected(f"images: {service!r} is not a service name")
    return {service: parse_image(text) for service, text in table.items()}


def _bundle(table: Mapping[str, Any]) -> Bundle:
    entry, files = _text(table, "entry"), _table(table, "files")
    if len(files) > MAX_FILES or entry not in files:
        raise PayloadRejected(f"compose.files: should hold compose.entry and at most {MAX_FILES} files")
    for path, text in files.items():
        if not is_bundle_path(path):
            raise PayloadRejected(f"compose.files: {path!r} is not a path inside the repository")
        if not isinstance(text, str) or len(text.encode()) > MAX_FILE_BYTES:
            raise PayloadRejected(f"compose.files: {path!r} should be text of at most {MAX_FILE_BYTES} bytes")
        if any(other.startswith(f"{path}/") for other in files):
            raise PayloadRejected(f"compose.files: {path!r} is a file and a folder")
    return Bundle(entry, files)


def _credentials(body: Mapping[str, Any]) -> Credentials | None:
    if "registry" not in body:
        return None
    table = _table(body, "registry")
    return Credentials(_text(table, "host"), _text(table, "username"), _text(table, "password"))


def _variables(body: Mapping[str, Any], key: str) -> dict[str, str]:
    """Parses variables, none without the key. Errors never show a value."""
    table = _table(body, key) if key in body else {}
    if len(table) > MAX_VARIABLES:
        raise PayloadRejected(f"{key}: should be at most {MAX_VARIABLES}")
    for name, value in table.items():
        if wrong := wrong_variable(name, value):
            raise PayloadRejected(f"{key}: {wrong}")
    return dict(table)


def wrong_variable(name: str, value: object) -> str:
    """Returns why a variable cannot be sent, without its value; empty if it can."""
    if not VARIABLE_NAME.fullmatch(name):
        return f"{name[:200]!r} is not a variable's name"
    if name.upper().startswith(STEERING):
        return f"{name} would steer Docker's own tools; only the server's variables file may"
    if (
        not isinstance(value, str)
        or "\0" in value
        or len(value.encode("utf-8", "replace")) > MAX_VARIABLE_BYTES
    ):
        return f"{name} should be text of at most {MAX_VARIABLE_BYTES} bytes"
    return ""


def _seconds(body: Mapping[str, Any]) -> int:
    value = body.get("confirm", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_CONFIRM:
        raise PayloadRejected(f"confirm: should be a whole number of seconds, at most {MAX_CONFIRM}")
    return value


def _table(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    if not isinstance(value, dict):
        raise PayloadRejected(f"{key}: should be an object")
    return value


def _text(body: Mapping[str, Any], key: str, *, optional: bool = False) -> str:
    value = body.get(key, "" if optional else None)
    if not isinstance(value, str) or not (value or optional):
        raise PayloadRejected(f"{key}: should be text")
    return value


def _count(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise PayloadRejected(f"run.{key}: should be a whole number")
    return value
