"""Images that a protected run built, tested and asked to deploy. In: such runs' records, newest first. Out:
the digests that they prove.

A record belongs to one app and environment and exists only if an OIDC token's claims fitted that environment.
A tag of the registry is no proof: every job of the repository that may write packages writes tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import PayloadRejected
from deployer.core.http.strict_json import parse_object
from deployer.core.images import REVISION, Image, is_repository
from deployer.core.model import Attested, Run
from deployer.core.names import MAX_SERVICES, SERVICE_NAME

SCHEMA = 1
KEPT = 200  # records of one app's environment
_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_TEXT = 300


@dataclass(frozen=True)
class ProvenRun:
    """Images of one protected run by service, with the source trees and the test combination."""

    app: str
    environment: str
    revision: str
    combination: str
    images: Mapping[str, Image]
    trees: Mapping[str, str]

    def proves(self, service: str, repository: str, tree: str) -> bool:
        """True if the run built this service's image from this tree."""
        image = self.images.get(service)
        return bool(tree) and image is not None and image.repository == repository and self._is(service, tree)

    def _is(self, service: str, tree: str) -> bool:
        return self.trees.get(service) == tree


@dataclass(frozen=True)
class Source:
    """Requested image: its repository, and the tree of its source."""

    repository: str
    tree: str


@dataclass(frozen=True)
class ProvenQuery:
    """Query of a run that deploys, before it builds: its images that may be proven already."""

    repository: str
    app: str
    environment: str
    revision: str
    run: Run
    combination: str
    services: Mapping[str, Source]


@dataclass(frozen=True)
class Known:
    """Answer to the query. `tested`: one run tested exactly these images together, under the same
    combination.
    """

    images: Mapping[str, Image]
    tested: bool


def find_known(records: Sequence[ProvenRun], query: ProvenQuery) -> Known:
    """Returns one run's whole set if there is one, else the newest image of each service."""
    asked = query.services
    for record in records:
        if query.combination and record.combination == query.combination and _proves_all(record, asked):
            return Known({service: record.images[service] for service in asked}, True)
    found: dict[str, Image] = {}
    for record in reversed(records):
        proven = (name for name, want in asked.items() if record.proves(name, want.repository, want.tree))
        found.update((name, record.images[name]) for name in proven)
    return Known(found, False)


def _proves_all(record: ProvenRun, asked: Mapping[str, Source]) -> bool:
    return all(record.proves(name, want.repository, want.tree) for name, want in asked.items())


def images_of_revision(records: Sequence[ProvenRun], revision: str) -> Mapping[str, Image]:
    """Returns service → image of the newest protected run of a commit; empty if there is none."""
    return next((record.images for record in records if record.revision == revision), {})


def unproven_reuse(records: Sequence[ProvenRun], tested: Attested, images: Mapping[str, Image]) -> list[str]:
    """Returns the services that a run took over from another run's build, though no record has
    such an image.
    """
    return [
        service
        for service in sorted(tested.reused)
        if not any(
            record.images.get(service) == images[service]
            and record.proves(service, images[service].repository, tested.trees.get(service, ""))
            for record in records
        )
    ]


def encode_tested(tested: Attested) -> dict[str, Any]:
    """Returns the field `tested` of a deploy request."""
    return {
        "combination": tested.combination,
        "trees": dict(tested.trees),
        "reused": sorted(tested.reused),
    }


def parse_tested(value: object, services: Mapping[str, object]) -> Attested:
    """Parses the field `tested` of a deploy request that names images of `services`. Raises
    PayloadRejected.
    """
    table = value if isinstance(value, dict) else {}
    combination, trees, reused = table.get("combination"), table.get("trees"), table.get("reused")
    if not isinstance(trees, dict) or not isinstance(reused, list):
        raise PayloadRejected("tested: should hold combination, trees and reused")
    if not all(service in services and _is_hash(tree) for service, tree in trees.items()):
        raise PayloadRejected("tested.trees: should be 64 hex digits for services of images")
    if not all(isinstance(service, str) and service in trees for service in reused):
        raise PayloadRejected("tested.reused: should be services of tested.trees")
    return Attested(_combination(combination, "tested."), dict(trees), frozenset(reused))


def encode_query(query: ProvenQuery) -> bytes:
    """Returns the bytes that the action sends; the same query always gives the same bytes."""
    body = {
        "schema": SCHEMA,
        "repository": query.repository,
        "app": query.app,
        "environment": query.environment,
        "revision": query.revision,
        "run": {"number": query.run.number, "attempt": query.run.attempt},
        "combination": query.combination,
        "services": {name: [want.repository, want.tree] for name, want in query.services.items()},
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_query(raw: bytes) -> ProvenQuery:
    """Parses a query. Raises PayloadRejected with the faulty field."""
    body = parse_object(raw)
    if body.get("schema") != SCHEMA:
        raise PayloadRejected(f"schema: should be {SCHEMA}")
    run, services = body.get("run"), body.get("services")
    if not isinstance(run, dict) or not isinstance(services, dict) or not 0 < len(services) <= MAX_SERVICES:
        raise PayloadRejected(f"run and services: should be objects, of 1 to {MAX_SERVICES} services")
    revision = _text(body, "revision")
    if not REVISION.fullmatch(revision):
        raise PayloadRejected("revision: should be the full commit id, 40 hex digits in lower case")
    return ProvenQuery(
        repository=_text(body, "repository"),
        app=_text(body, "app"),
        environment=_text(body, "environment"),
        revision=revision,
        run=Run(_count(run, "number"), _count(run, "attempt")),
        combination=_combination(body.get("combination"), ""),
        services={name: _source(name, pair) for name, pair in services.items()},
    )


def _source(name: str, pair: object) -> Source:
    if not SERVICE_NAME.fullmatch(name):
        raise PayloadRejected(f"services: {name!r} is not a service name")
    if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):
        repository, tree = pair
        if is_repository(repository) and _is_hash(tree):
            return Source(repository, tree)
    raise PayloadRejected(f"services.{name}: should be an image repository and 64 hex digits")


def _combination(value: object, path: str) -> str:
    if value == "" or _is_hash(value):
        return str(value)
    raise PayloadRejected(f"{path}combination: should be 64 hex digits, or empty")


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise PayloadRejected(f"{key}: should be text of at most {_MAX_TEXT} characters")
    return value


def _count(run: Mapping[str, Any], key: str) -> int:
    value = run.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise PayloadRejected(f"run.{key}: should be a whole number")
    return value
