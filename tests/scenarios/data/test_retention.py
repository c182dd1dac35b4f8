"""The rollback set on a real engine: what is kept, what goes, and going back without the registry."""

from __future__ import annotations

import json

import pytest

from deployer.core.images import Image
from testing.stage import Stage, docker, wait_for
from testing.user_repository import Published, forget_here
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine


@pytest.mark.long
def test_exactly_the_rollback_set_is_kept_and_serves_again_without_the_registry(stage: Stage) -> None:
    table = "[apps.shop.environments.production]"
    stage.reconfigure(table, f"{table}\nreleases = 2")
    versions = [_own(stage, f"{number}.0.0") for number in (1, 2, 3)]
    releases = [stage.publish(version) for version in versions]
    for release in releases:
        for image in release.images.values():
            forget_here(image)  # it was built here: only what the deployer pulled may be pruned
    ended = [stage.deploy(release) for release in releases]
    assert [one["status"] for one in ended] == ["success"] * 3, [one["reason"] for one in ended]
    wait_for("the oldest images' end", lambda: not _here(releases[0]), 20)
    assert _here(releases[1]) and _here(releases[2])
    gone = stage.cli("rollback", "shop", "--release", ended[0]["release"])
    assert gone.returncode == 1 and "[not-found]" in gone.stderr and "are kept" in gone.stderr
    for release in releases:
        for image in release.images.values():
            stage.forget(image)
    token = stage.token("rollback,read")
    status, answer = stage.post("/api/v1/apps/shop/production/rollback", token)
    assert status == 202, answer
    assert stage.finished(answer["id"], token)["status"] == "success"
    assert stage.serves() == versions[1]
    assert running_images(stage) == published_images(releases[1])
    back = stage.cli("rollback", "shop", "--release", ended[2]["release"])
    assert back.returncode == 0, back.stdout
    assert stage.serves() == versions[2]


@pytest.mark.long
def test_a_kept_release_whose_image_somebody_removed_says_so(stage: Stage) -> None:
    versions = [_own(stage, "1.0.0"), _own(stage, "2.0.0")]
    releases = [stage.publish(version) for version in versions]
    for release in releases:
        assert stage.deploy(release)["status"] == "success"
    lost = releases[0].images["backend"]
    docker("image", "rm", "--force", _id(lost))
    assert stage.cli("rollback", "shop").returncode == 0  # the registry still has it
    assert stage.deploy(releases[1])["status"] == "success"
    docker("image", "rm", "--force", _id(lost))
    stage.forget(lost)
    failed = stage.cli("rollback", "shop")
    assert failed.returncode == 1 and "[image-not-found]" in failed.stdout
    assert stage.serves() == versions[1]


def _own(stage: Stage, version: str) -> str:
    """A version that no other stage builds: images of the same content are one image to the engine, and these
    tests remove theirs.
    """
    return f"{version}-{stage.project}"


def _here(release: Published) -> bool:
    return any(_id(image) for image in release.images.values())


def _id(image: Image) -> str:
    """Empty where the engine does not have it under this digest."""
    listed = docker("images", "--digests", "--format", "{{json .}}", image.repository)
    found = [json.loads(line) for line in listed.splitlines()]
    return next((str(one["ID"]) for one in found if one["Digest"] == image.digest), "")
