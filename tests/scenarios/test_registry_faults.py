"""A registry that breaks while the engine pulls: each fault has its reason, and what runs stays as it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from deployer.core.images import Image
from tests.scenarios.test_faults import containers
from tests.stand.faulty_registry import FaultyRegistry, push_fresh
from tests.stand.stage import Published, Stage

pytestmark = pytest.mark.engine
# fault → status, code, and words of the reason
FAULTS = {
    "401": ("failure", "image-not-found", ""),
    "403": ("failure", "image-not-found", ""),
    "404": ("failure", "image-not-found", ""),
    "429": ("error", "registry-unavailable", ""),
    "500": ("error", "registry-unavailable", ""),
    "cut": ("error", "registry-unavailable", ""),
    "other bytes": ("error", "registry-unavailable", ""),
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
        ends: dict[str, dict[str, Any]] = {}
        for fault in FAULTS:
            faulty.fault = fault
            ends[fault] = stage.deploy(through(faulty, release, fresh))
            assert containers(stage) == before, fault
            assert stage.serves() == "1.0.0"
        for fault in FAULTS:
            print(f"{fault}: {ends[fault]['status']}: {ends[fault]['reason']}")
        for fault, (status, code, words) in FAULTS.items():
            end = ends[fault]
            assert (end["status"], code in end["reason"], words in end["reason"]) == (status, True, True), end
    assert stage.deploy(release)["status"] == "success"
