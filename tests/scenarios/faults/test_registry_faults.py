"""A registry that breaks while the engine pulls: each fault has its reason, and what runs stays as it is."""

from __future__ import annotations

import dataclasses

import pytest

from deployer.core.images import Image
from testing.docker.faulty_registry import FaultyRegistry, push_fresh
from testing.stage import Published, Stage
from tests.scenarios.faults.test_faults import containers

pytestmark = [pytest.mark.engine, pytest.mark.long]
# fault → status, code, and words of the reason
FAULTS = {
    "401": ("failure", "image-not-found", "unauthorized"),
    "403": ("failure", "image-not-found", "denied"),
    "404": ("failure", "image-not-found", "manifest unknown"),
    "429": ("error", "registry-unavailable", "toomanyrequests"),
    "500": ("error", "registry-unavailable", "answered 500"),
    "other bytes": ("error", "registry-unavailable", "does not have its digest"),
    "cut": ("error", "registry-unavailable", "unexpected EOF"),
}


def through(faulty: FaultyRegistry, release: Published, image: Image) -> Published:
    """The release with a backend that comes by way of the faulty registry."""
    name = image.repository.partition("/")[2]
    backend = Image(f"{faulty.host}/{name}", image.digest)
    return dataclasses.replace(release, images={**release.images, "backend": backend})


@pytest.mark.case("F06")
def test_every_fault_of_a_registry_has_its_own_reason_and_touches_nothing(stage: Stage) -> None:
    release = stage.publish("1.0.0")
    assert stage.deploy(release)["status"] == "success"
    before = containers(stage)
    with FaultyRegistry(stage.registry) as faulty:
        ours = f'images = ["{stage.namespace}/shop-*"'
        stage.reconfigure(f"{ours}]", f'{ours}, "{faulty.host}/{stage.project}/*"]')
        fresh = push_fresh(stage.registry, f"{stage.project}/shop-backend")
        for fault, (status, code, words) in FAULTS.items():
            faulty.fault = fault
            ended = stage.deploy(through(faulty, release, fresh))
            assert (ended["status"], f"[{code}]" in ended["reason"]) == (status, True), (fault, ended)
            assert words in ended["reason"], ended
            assert containers(stage) == before, fault
            assert stage.serves() == "1.0.0"
    assert stage.deploy(release)["status"] == "success"
