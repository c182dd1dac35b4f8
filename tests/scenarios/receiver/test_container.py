"""The image that `Dockerfile` makes, as users run it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.load.http_load import Load
from testing.receiver.receiver_container import USER, ContainerStage
from testing.stage import ROOT, docker, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine
IMAGE = "deployer-receiver:test"
MOST_MB = 200  # above the base image


@pytest.fixture(scope="module")
def image() -> str:
    docker("build", "--quiet", "--tag", IMAGE, str(ROOT))
    return IMAGE


@pytest.fixture
def contained(image: str) -> Iterator[ContainerStage]:
    with ContainerStage(image) as stage:
        yield stage


@pytest.mark.alone
def test_the_image_serves_and_deploys_without_root(contained: ContainerStage) -> None:
    wait_for("the image's health check", lambda: contained.health() == "healthy", 30)
    assert docker("inspect", "--format", "{{.Config.User}}", contained.name).strip() == "deployer"
    assert docker("exec", contained.name, "id", "-u").strip() == str(USER)
    first, second = contained.publish("1.0.0"), contained.publish("2.0.0")
    assert contained.deploy(first)["status"] == "success"
    with Load(f"{contained.web}/api/version") as load:
        assert contained.deploy(second)["status"] == "success"
    assert load.report.losses() == []
    assert running_images(contained) == published_images(second)
    edge = next(c for c in contained.containers() if "deployer-edge" in c["Name"])
    assert edge["Config"]["User"].startswith(str(USER))


def test_the_command_works_inside(contained: ContainerStage) -> None:
    told = docker("exec", contained.name, "deployer", "config", "check")
    assert ": ok" in told and "is confined by Landlock" in told, "unprivileged, under Docker's own profile"
    assert "nothing was deployed yet" in docker("exec", contained.name, "deployer", "status")


def test_the_image_is_small(image: str) -> None:
    sizes = [int(docker("inspect", "--format", "{{.Size}}", name)) for name in (image, "python:3.13-slim")]
    assert (sizes[0] - sizes[1]) / 1e6 < MOST_MB
