"""Assignment of builds to services. In: a Compose model's services, the registry and the repository. Out:
service → the services that build its image.

The runner's test and the server's release follow this one rule: a service with an `image:` that names a
repository which another service builds gets that build, whatever tag the file has. A digest in `image:` is
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.images import canonical, repository_of

Services = Mapping[str, Mapping[str, Any]]


def built_repositories(services: Services, *, registry: str, source: str, compose: str) -> dict[str, str]:
    """Returns service with `build:` → repository of its image. Raises PayloadRejected for an invalid name."""
    return {
        name: repository_of(
            name, str(service.get("image") or ""), registry=registry, source=source, compose=compose
        )
        for name, service in services.items()
        if service.get("build") is not None
    }


def makers_of(services: Services, repositories: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Returns service → the services of which each builds its image, itself first, without services that run
    no built image. `repositories`: service with a build → repository of its image.
    """
    makers: dict[str, list[str]] = {}
    for name, repository in repositories.items():
        makers.setdefault(canonical(repository), []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for name, service in services.items():
        reference = str(service.get("image") or "")
        if name in repositories:
            same = makers[canonical(repositories[name])]
            found[name] = (name, *(other for other in same if other != name))
        elif reference and "@" not in reference and (same := makers.get(canonical(reference), [])):
            found[name] = tuple(same)
    return found
