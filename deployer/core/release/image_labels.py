"""Labels that name the service an image was built for. In: an image's labels, an app's repository, Compose
file and services. Out: nothing, or ImageOfAnother.

The action writes them, so that an image under a shared or a reused name is not mistaken for another
service's. They guard against a mix-up. They prove nothing: the account that pushes an image chooses its
labels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from deployer.core.errors import ImageOfAnother

COMPOSE_LABEL = "deployer.image.compose"
SERVICE_LABEL = "deployer.image.service"
SOURCE_LABEL = "org.opencontainers.image.source"


def is_labelled(labels: Mapping[str, str]) -> bool:
    """True if the labels claim that the action built the image."""
    return COMPOSE_LABEL in labels and SERVICE_LABEL in labels


def difference(labels: Mapping[str, str], repository: str, compose: str, services: Collection[str]) -> str:
    """Returns the label that does not fit, in words; empty if all fit or the image carries none of them."""
    if not is_labelled(labels):
        return ""
    source = urlsplit(labels.get(SOURCE_LABEL, "")).path.strip("/").lower()
    wanted = (
        ("repository", source, (repository.lower(),)),
        ("Compose file", labels[COMPOSE_LABEL], (compose,)),
        ("service", labels[SERVICE_LABEL], tuple(sorted(services))),
    )
    return next((f"the {kind} {found!r}" for kind, found, fit in wanted if found not in fit), "")


def judge_labels(
    labels: Mapping[str, str], name: str, repository: str, compose: str, services: Collection[str]
) -> None:
    """Raises ImageOfAnother if a label does not fit. `name`: the image's reference; `services`: the services
    whose build it may be.
    """
    if other := difference(labels, repository, compose, services):
        raise ImageOfAnother(
            f"{name} was built for {other}, not for service {' or '.join(sorted(services))}"
            f" of {compose} in {repository}",
            hint="give each service of each Compose file an image: of its own, or leave image: out",
        )
