"""A job as the worker judges it again, which may come from a process that somebody took over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.auth.authorization import login_for
from deployer.core.auth.job_authorization import judge_images, judge_job, judge_release
from deployer.core.config.settings import App, load_config
from deployer.core.errors import DeployerError, Forbidden, NotFound
from deployer.core.images import Image
from deployer.core.model import Credentials, DeployJob, Kind, Release, Trigger
from deployer.core.release.image_selection import ImageRequirement
from testing.receiver.receiver_inputs import BUNDLE, DIGEST, REVISION, config_table

GOOD = DeployJob(
    "shop",
    "production",
    Kind.DEPLOY,
    Trigger.ACTION,
    "ada",
    REVISION,
    images={"web": Image("ghcr.io/acme/shop-web", DIGEST)},
)
AGAIN = DeployJob(
    "shop", "production", Kind.ROLLBACK, Trigger.API, "ada", REVISION, release="0123456789abcdef"
)


def the_app(*other_images: str) -> App:
    table = config_table()
    table["apps"]["shop"]["other-images"] = list(other_images)
    return load_config(table).app("shop")


@pytest.mark.parametrize(
    "job",
    [
        GOOD,
        AGAIN,
        replace(GOOD, images=None),
        replace(GOOD, release="0123456789abcdef"),  # resolved before its server was killed
        replace(AGAIN, kind=Kind.REDEPLOY),
    ],
)
def test_what_the_door_queues_passes(job: DeployJob) -> None:
    judge_job(job, the_app())


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"environment": "staging"}, NotFound, "no environment 'staging'"),
        ({"environment": "../production"}, NotFound, "no environment"),
        ({"kind": Kind.REDEPLOY}, Forbidden, "a redeploy without a release"),
        ({"kind": Kind.ROLLBACK}, Forbidden, "a rollback without a release"),
        ({"revision": ""}, Forbidden, "without a full commit id"),
        ({"revision": "main"}, Forbidden, "without a full commit id"),
        ({"revision": f"{REVISION}\n"}, Forbidden, "without a full commit id"),
        ({"images": {"web": Image("evil.example/web", DIGEST)}}, Forbidden, "evil.example/web"),
        (
            {
                "images": {
                    **(GOOD.images or {}),
                    "x": Image("ghcr.io/acme/shop", DIGEST),
                    "y": Image("ghcr.io/acme/bank", DIGEST),
                }
            },
            Forbidden,
            "service y",
        ),
    ],
)
def test_what_the_door_never_queues_is_refused(
    changes: dict[str, Any], error: type[DeployerError], words: str
) -> None:
    with pytest.raises(error, match=words):
        judge_job(replace(GOOD, **changes), the_app())


def test_another_apps_release_reads_as_one_that_does_not_exist() -> None:
    release = Release("0123", "bank", REVISION, {}, BUNDLE, {})
    judge_release(release, "bank")
    with pytest.raises(NotFound, match="has no release 0123"):
        judge_release(release, "shop")


def judged(app: App, repository: str, *, built: bool) -> None:
    judge_images(
        app,
        [ImageRequirement("web", None, makers=("web",) if built else ())],
        {"web": Image(repository, DIGEST)},
    )


@pytest.mark.parametrize("built", [True, False])
def test_the_apps_own_images_are_its_own_wherever_they_stand(built: bool) -> None:
    judged(the_app("docker.io/library/*"), "ghcr.io/acme/shop-web", built=built)


def test_a_built_image_never_comes_from_where_the_others_may() -> None:
    with pytest.raises(Forbidden, match="service web"):
        judged(the_app("docker.io/library/*"), "docker.io/library/nginx", built=True)


def test_without_the_setting_other_images_come_from_anywhere() -> None:
    judged(the_app(), "quay.io/who/ever", built=False)


@pytest.mark.parametrize("repository", ["nginx", "docker.io/library/nginx", "library/nginx"])
def test_a_short_name_is_the_one_that_docker_reads_it_as(repository: str) -> None:
    judged(the_app("docker.io/library/*"), repository, built=False)


@pytest.mark.parametrize(
    "repository",
    ["evil/nginx", "quay.io/library/nginx", "docker.io/library/x/nginx", "nginx.evil:5000/library/nginx"],
)
def test_with_it_from_nowhere_else(repository: str) -> None:
    with pytest.raises(Forbidden, match="service web") as refused:
        judged(the_app("docker.io/library/*", "ghcr.io/acme/tools-*"), repository, built=False)
    assert "apps.shop.other-images allows docker.io/library/*, ghcr.io/acme/tools-*" in refused.value.hint


def test_a_login_goes_to_its_own_registry_and_the_servers_to_named_repositories_alone() -> None:
    app = the_app()
    given, own = Credentials("ghcr.io", "ada", "1"), Credentials("ghcr.io", "server", "2")
    assert login_for(app, "ghcr.io/acme/shop-web", given, own) == given
    elsewhere = Credentials("quay.io", "ada", "1")
    assert login_for(app, "ghcr.io/acme/shop-web", elsewhere, own) == own
    assert login_for(app, "ghcr.io/acme/other", elsewhere, own) is None
    assert login_for(app, "quay.io/acme/shop-web", None, own) is None
