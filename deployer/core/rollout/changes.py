"""What a merge would change. In: the application as it would be, and what runs. Out: a word for every
service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.images import Image
from deployer.core.model import ObservedState, Release, Replica
from deployer.core.release.image_selection import Wanted
from deployer.core.rollout.desired_state import EDGE, Application, Service

_UNKNOWN = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Preview:
    """`plan` as people read it, service → `image`, `configuration`, `new`, `removed` or `none`, and the names
    of variables that nobody gives a value.
    """

    plan: str
    changes: Mapping[str, str]
    missing_variables: Sequence[str]


def changes_of(application: Application, observed: ObservedState) -> dict[str, str]:
    """The edge is the deployer's own and not told."""
    wanted = {service.name: service for service in application.services if service.name != EDGE}
    gone = {replica.service for replica in observed.replicas} - {*wanted, EDGE}
    told = {name: _change(service, observed.of(name)) for name, service in wanted.items()}
    return dict(sorted({**told, **dict.fromkeys(gone, "removed")}.items()))


def _change(service: Service, replicas: Sequence[Replica]) -> str:
    if not replicas:
        return "new"
    if any(replica.spec == service.spec for replica in replicas):
        return "none"
    same = service.image is None or any(replica.digest == service.image.digest for replica in replicas)
    return "configuration" if same else "image"


def image_without_lookup(wanted: Wanted, serving: Release | None) -> Image:
    """An image for a plan: given, else the one that serves from the same repository, else none that exists.

    A pull request may write what it likes into a Compose file, a variable's value for one, and no registry is
    to hear of it.
    """
    if wanted.image:
        return wanted.image
    before = serving.images.get(wanted.service) if serving else None
    if before and before.repository == wanted.repository:
        return before
    return Image(wanted.repository, _UNKNOWN)
