"""Changes that a merge would make, for a pull request. In: the application as it would be, and the observed
state. Out: one word for each service. Never pulls or deploys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deployer.core.images import Image
from deployer.core.model import ObservedState, Release, Replica
from deployer.core.release.image_selection import ImageRequirement
from deployer.core.rollout.desired_state import EDGE, DesiredState, Service
from deployer.core.rollout.plan import Plan

_UNKNOWN = "sha256:" + "0" * 64


class Change(StrEnum):
    """Change of one service by a merge."""

    IMAGE = "image"
    CONFIGURATION = "configuration"
    NEW = "new"
    REMOVED = "removed"
    NONE = "none"


@dataclass(frozen=True)
class Preview:
    """Preview of a deploy: `plan` as text; service → its `Change`, which is text here because the worker's
    process may be of another version; and the names of variables without a value.
    """

    plan: str
    changes: Mapping[str, str]
    missing_variables: Sequence[str]


@dataclass(frozen=True)
class DryRun:
    """Result of a dry run: the steps that a deploy would execute now, and its changes as in `Preview`."""

    plan: Plan
    changes: Mapping[str, Change]


def changes_of(application: DesiredState, observed: ObservedState) -> dict[str, Change]:
    """Returns service → its change, sorted by name. The edge belongs to the deployer and is left out."""
    wanted = {service.name: service for service in application.services if service.name != EDGE}
    gone = {replica.service for replica in observed.replicas} - {*wanted, EDGE}
    told = {name: _change(service, observed.of(name)) for name, service in wanted.items()}
    return dict(sorted({**told, **dict.fromkeys(gone, Change.REMOVED)}.items()))


def _change(service: Service, replicas: Sequence[Replica]) -> Change:
    if not replicas:
        return Change.NEW
    if any(replica.spec == service.spec for replica in replicas):
        return Change.NONE
    same = service.image is None or any(replica.digest == service.image.digest for replica in replicas)
    return Change.CONFIGURATION if same else Change.IMAGE


def image_without_lookup(wanted: ImageRequirement, serving: Release | None) -> Image:
    """Returns an image for a plan: the given one, else the serving one from the same repository, else an
    image that does not exist.

    A pull request may write any text into a Compose file, such as a variable's value, and it must not be sent
    to a registry.
    """
    if wanted.image:
        return wanted.image
    before = serving.images.get(wanted.service) if serving else None
    if before and before.repository == wanted.repository:
        return before
    return Image(wanted.repository, _UNKNOWN)
