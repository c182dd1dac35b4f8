"""Getting images and keeping them: tries, room, and what goes with older releases."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from deployer.core.config.settings import Config
from deployer.core.errors import DeployerError, ImageNotFound, NotFound, RegistryUnavailable
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.model import Credentials, Status
from deployer.worker.pruning import prune
from testing.compose_models import image
from tests.deployment.test_deploy import Scene, scene

__all__ = ["scene"]
Pull = Callable[[Image, Credentials | None, Callable[[str], None]], None]


def failing(scene: Scene, times: int, error: DeployerError) -> list[Image]:
    """The next `times` pulls fail."""
    real, tried = scene.target.pull, []

    def pull(
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        tried.append(image)
        if len(tried) <= times:
            raise error
        real(image, credentials, say, limit)

    scene.target.pull = pull  # type: ignore[method-assign]
    return tried


def test_what_may_pass_is_tried_again(scene: Scene) -> None:
    tried = failing(scene, 2, RegistryUnavailable("ghcr.io answered 503"))
    ended = scene.deploy("ab")
    assert ended.status is Status.SUCCESS and len(tried) == 4
    told = [line for line in scene.story(ended) if "trying again in" in line]
    assert len(told) == 2 and "ghcr.io answered 503" in told[0]


def test_a_registry_that_stays_away_ends_the_deployment_and_nothing_was_touched(scene: Scene) -> None:
    tried = failing(scene, 100, RegistryUnavailable("ghcr.io answered 503"))
    ended = scene.deploy("ab")
    assert ended.status is Status.ERROR and "[registry-unavailable]" in ended.reason
    assert max(Counter(tried).values()) == 4 and not scene.target.replicas


@pytest.mark.parametrize(("failures", "asked", "status"), [(2, 3, Status.SUCCESS), (100, 4, Status.ERROR)])
def test_a_registry_that_fails_for_a_moment_is_asked_again_for_a_configuration(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, failures: int, asked: int, status: Status
) -> None:
    tries: Counter[Image] = Counter()

    def image_config(image: Image, login: Credentials | None) -> ImageConfig:
        tries[image] += 1
        if tries[image] <= failures:
            raise RegistryUnavailable("ghcr.io answered 503")
        return ImageConfig()

    monkeypatch.setattr(scene.target, "image_config", lambda image: None)
    monkeypatch.setattr(scene.context.registry, "image_config", image_config)
    assert scene.deploy("ab").status is status
    assert max(tries.values()) == asked


def test_what_the_registry_does_not_have_is_asked_for_once(scene: Scene) -> None:
    tried = failing(scene, 100, ImageNotFound("no such image"))
    assert scene.deploy("ab").status is Status.FAILURE
    assert max(Counter(tried).values()) == 1


def test_images_are_pulled_side_by_side_and_the_others_end_when_one_cannot_be_had(scene: Scene) -> None:
    both = threading.Barrier(2, timeout=10)
    said: list[Image] = []

    def pull(
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        both.wait()
        if image.digest.startswith("sha256:a"):
            raise ImageNotFound(f"{image} cannot be pulled: manifest unknown")
        while len(said) < 1_000_000:
            say("1.0 of 2.0 MB")
            said.append(image)

    scene.target.pull = pull  # type: ignore[method-assign]
    ended = scene.deploy("ab")
    assert ended.status is Status.FAILURE and "manifest unknown" in ended.reason
    assert len(said) < 1_000_000 and not scene.target.replicas


def test_an_image_that_services_share_is_pulled_once(scene: Scene) -> None:
    tried = failing(scene, 0, ImageNotFound("never"))
    same = image("backend", "a")
    ended = scene.deploy("ab", images={"backend": same, "frontend": same})
    assert tried == [same]
    assert any(line.startswith("pull backend, frontend ") for line in scene.story(ended))


def test_a_disk_without_room_is_told_before_anything_is_pulled(scene: Scene) -> None:
    scene.target.free = 200_000_000  # 2 images: a base of 50 MB together, 1 MB each, times 3, and a margin
    ended = scene.deploy("ab")
    assert ended.status is Status.ERROR and "[disk-full]" in ended.reason
    assert "156 MB" in ended.reason and "200 MB are free" in ended.reason
    assert scene.target.calls == []
    scene.target.free = 300_000_000
    assert scene.deploy("ab").status is Status.SUCCESS


def test_a_disk_that_nobody_can_see_is_said_to_be_unchecked(scene: Scene) -> None:
    assert any("free disk space is not checked" in line for line in scene.story(scene.deploy("ab")))


def test_layers_of_the_release_that_serves_need_no_room(scene: Scene) -> None:
    scene.deploy("ab")
    scene.target.free = 100_000_000
    assert scene.deploy("cd").status is Status.SUCCESS


def test_exactly_the_rollback_set_is_kept(scene: Scene) -> None:
    keep(scene, 2)
    releases = [scene.deploy(marks).release for marks in ("ab", "cb", "de")]
    scene.target.calls.clear()
    app = scene.context.config.app("shop")
    prune(app, scene.context)
    assert scene.target.calls == ["forget_image a"]  # b is the second release's too
    with pytest.raises(NotFound, match="no release"):
        scene.store.releases.get(releases[0])
    assert {release.id for release in scene.store.releases.all()} == set(releases[1:])
    scene.target.calls.clear()
    prune(app, scene.context)
    assert scene.target.calls == []


def test_an_image_that_something_uses_is_tried_again_later(scene: Scene) -> None:
    keep(scene, 1)
    scene.deploy("ab")
    scene.deploy("cb")
    scene.target.in_use = {"sha256:" + "a" * 64}
    app = scene.context.config.app("shop")
    prune(app, scene.context)
    scene.target.in_use = set()
    scene.target.calls.clear()
    prune(app, scene.context)
    assert scene.target.calls == ["forget_image a"]


def test_an_image_that_was_here_before_is_never_removed(scene: Scene) -> None:
    keep(scene, 1)
    scene.target.here = {"sha256:" + "a" * 64}
    scene.deploy("ab")
    scene.deploy("cb")
    scene.target.calls.clear()
    prune(scene.context.config.app("shop"), scene.context)
    assert scene.target.calls == []


def test_trouble_with_pruning_is_only_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    keep(scene, 1)
    scene.deploy("ab")
    scene.deploy("cb")
    scene.target.breaks = {"forget_image": RegistryUnavailable("oops")}
    prune(scene.context.config.app("shop"), scene.context)
    assert "shop could not be pruned: oops" in caplog.text


def keep(scene: Scene, count: int) -> None:
    config: Config = scene.context.config
    app = config.app("shop")
    production = dataclasses.replace(app.environment("production"), releases=count)
    changed = dataclasses.replace(app, environments={"production": production})
    scene.context = dataclasses.replace(
        scene.context, config=dataclasses.replace(config, apps={"shop": changed})
    )


def test_a_pull_gets_no_more_time_than_its_deployment_has_left(scene: Scene) -> None:
    limits: list[float] = []
    real = scene.target.pull

    def pull(
        image: Image,
        credentials: Credentials | None,
        say: Callable[[str], None],
        limit: float,
        *,
        stored: bool = False,
    ) -> None:
        limits.append(limit)
        scene.clock.sleep(30)
        real(image, credentials, say, limit)

    scene.target.pull = pull  # type: ignore[method-assign]
    scene.deploy("ab")
    assert limits == [100, 70]
