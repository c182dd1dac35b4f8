"""One word for every service of what a merge would change."""

from __future__ import annotations

from dataclasses import replace

from deployer.core.images import Image
from deployer.core.model import Bundle, ContainerState, Health, ObservedState, Release, Replica
from deployer.core.release.image_selection import ImageRequirement
from deployer.core.rollout.changes import changes_of, image_without_lookup
from testing.compose_models import application, digest, image

APPLICATION = application()


def replica(service: str, spec: str, mark: str) -> Replica:
    state, health = ContainerState.RUNNING, Health.HEALTHY
    return Replica("1", f"shop-{service}-1", service, spec, state, health, "x", digest(mark))


def spec_of(name: str) -> str:
    service = APPLICATION.service(name)
    assert service
    return service.spec


def test_each_service_has_one_word() -> None:
    running = (
        replica("backend", spec_of("backend"), "a"),
        replica("frontend", "another", "z"),
        replica("cache", "c", "c"),
        replica("deployer-edge", "e", "e"),
    )
    assert changes_of(APPLICATION, ObservedState(running)) == {
        "backend": "none",
        "cache": "removed",
        "frontend": "image",
    }
    assert changes_of(APPLICATION, ObservedState(())) == {"backend": "new", "frontend": "new"}


def test_the_same_image_otherwise_is_configuration() -> None:
    service = APPLICATION.service("frontend")
    assert service and service.image
    running = replace(replica("frontend", "another", "z"), digest=service.image.digest)
    assert changes_of(APPLICATION, ObservedState((running,)))["frontend"] == "configuration"


def test_no_registry_is_needed_for_any_image() -> None:
    given, cache = image("backend", "a"), Image("docker.io/library/redis", digest("c"))
    serving = Release("r", "shop", "1" * 40, {"cache": cache}, Bundle("c", {"c": ""}), {})
    asked = ImageRequirement("cache", None, "docker.io/library/redis", "7")
    assert image_without_lookup(ImageRequirement("backend", given, makers=("backend",)), serving) == given
    assert image_without_lookup(asked, serving) == cache
    for one, release in ((replace(asked, repository="evil.example/x"), serving), (asked, None)):
        assert image_without_lookup(one, release) == Image(one.repository, "sha256:" + "0" * 64)
